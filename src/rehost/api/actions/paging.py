"""The parameters and reply fields that all listings share."""

from rehost.api.spec import Field, Fields, Kind, Number
from rehost.api.values import Values
from rehost.store.paging import Page

MOST_ROWS = 50

PARAMETERS = (
    Number("PageNumber", "The page, from 1.", least=1, most=10**9, default=1),
    Number("PageSize", "Rows of a page.", least=1, most=MOST_ROWS, default=10),
)
REPLY: Fields = (
    Field("PageNumber", Kind.INTEGER, "The page."),
    Field("PageSize", Kind.INTEGER, "Rows of a page."),
    Field("TotalCount", Kind.INTEGER, "Rows of all pages."),
)


def page(values: Values) -> Page:
    return Page(values.integer("PageNumber"), values.integer("PageSize"))


def reply(page: Page, total: int) -> dict[str, object]:
    return {"PageNumber": page.number, "PageSize": page.size, "TotalCount": total}
