"""Leave to act, as Resource Access Management has it: policies in JSON, and what they allow. Pure."""
