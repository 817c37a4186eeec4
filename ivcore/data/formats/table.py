"""CSV files with a header."""

import csv
import io
from collections.abc import Callable

from ivcore.data.formats.text import Record, parse_rows, read_text
from ivcore.errors import FormatError, shown
from ivcore.files import write_text


def read_table(
    path, required: Callable[[list[str]], str | None], parse: Callable[[int, dict], Record], errors: str = "strict"
) -> list[Record]:
    """Returns parse(line, {column: cell}) for every row that is not blank.

    required: a function from the header's columns to what is missing, or None. FormatError for a wrong header or row.
    """
    rows = csv.reader(io.StringIO(read_text(path, errors), newline=""), strict=True)
    filled = ((rows.line_num, row) for row in rows if any(cell.strip() for cell in row))
    try:
        line, header = next(filled, (1, []))
        header = [cell.strip() for cell in header]
        if missing := required(header):
            raise FormatError(path, line, f"expected {missing}, found {shown(','.join(header))}")

        def record(line: int, row: list[str]) -> Record:
            if len(row) != len(header):
                expected = f"{len(header)} columns ({','.join(header)})"
                raise FormatError(path, line, f"expected {expected}, found {len(row)}")
            return parse(line, dict(zip(header, row)))

        return parse_rows(path, record, filled)
    except csv.Error as error:
        raise FormatError(path, rows.line_num, f"expected comma-separated values: {error}") from None


def write_table(path, rows: list[list]) -> None:
    """Writes rows of cells; the first is the header."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    write_text(path, out.getvalue())
