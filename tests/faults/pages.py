"""Where what stands in a SQLite file: https://www.sqlite.org/fileformat2.html."""

from collections.abc import Iterator, Mapping
from pathlib import Path

HEADER = range(100)
LEAVES = {0x0A, 0x0D}
INTERIORS = {0x02, 0x05}


def regions(file: Path) -> Mapping[str, list[int]]:
    """Return the offsets of each kind of bytes: the file's header, trees' structure, the schema, content.

    What no cell has is left out: nobody reads it.
    """
    data = file.read_bytes()
    size = int.from_bytes(data[16:18], "big")
    of_schema = {0, *((child - 1) * size for child in _children(data, 0))}
    found: dict[str, list[int]] = {"header": list(HEADER), "structure": [], "schema": [], "content": []}
    for page in range(0, len(data), size):
        structure, cells = _parts(data, page, size)
        found["structure"] += structure
        found["schema" if page in of_schema else "content"] += cells
    return found


def _begin(page: int) -> int:
    return page or HEADER.stop


def _number(data: bytes, offset: int, length: int = 2) -> int:
    return int.from_bytes(data[offset : offset + length], "big")


def _parts(data: bytes, page: int, size: int) -> tuple[range, range]:
    """Return the offsets of a page's header with its cell pointers, and of its cells."""
    begin = _begin(page)
    if data[begin] not in LEAVES | INTERIORS:
        return range(0), range(page, page + size)
    header = 12 if data[begin] in INTERIORS else 8
    structure = range(begin, begin + header + 2 * _number(data, begin + 3))
    return structure, range(page + (_number(data, begin + 5) or 1 << 16), page + size)


def _children(data: bytes, page: int) -> Iterator[int]:
    """Go through the numbers of the pages, counted from 1, below an interior page of a table."""
    begin = _begin(page)
    if data[begin] in INTERIORS:
        yield _number(data, begin + 8, 4)
        for cell in range(_number(data, begin + 3)):
            yield _number(data, page + _number(data, begin + 12 + 2 * cell), 4)


def flipped(data: bytes, offset: int, bit: int) -> bytes:
    """Return data with one bit turned over."""
    return data[:offset] + bytes([data[offset] ^ 1 << bit]) + data[offset + 1 :]
