"""Policies that every account has and nobody changes."""

from collections.abc import Mapping

_ALL = '{"Version": "1", "Statement": [{"Effect": "Allow", "Action": %s, "Resource": "*"}]}'

SYSTEM_POLICIES: Mapping[str, str] = {
    "AliyunSMCFullAccess": _ALL % '"smc:*"',
    "AliyunSMCReadOnlyAccess": _ALL % '["smc:Describe*", "smc:List*"]',
    "AliyunSTSAssumeRoleAccess": _ALL % '"sts:AssumeRole"',
}
