import io
import itertools
from datetime import datetime

from trailscan.query.table import Column, Table
from trailscan.render.as_table import write_table

COLUMNS = (Column("event_time", "timestamp"), Column("user_name", "text"), Column("records", "integer"))
WHEN = datetime(2026, 3, 1, 9, 15, 2)  # noqa: DTZ001 - cells are naive UTC


def written(columns, chunks, width=None, colour=False):
    out = io.StringIO()
    rows = write_table(Table(columns, iter(chunks)), out, width, colour)
    return rows, out.getvalue().split("\n")[:-1]


def texts(*names):
    return tuple(Column(name, "text") for name in names)


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    rows, lines = written(COLUMNS, [[(WHEN, "alice", 7), (None, None, 12345)]])
    assert rows == 2
    assert lines == [
        "event_time           user_name  records",
        "2026-03-01 09:15:02  alice            7",
        "                                  12345",
    ]


def test_no_rows_leave_a_header():
    assert written(COLUMNS, []) == (0, ["event_time  user_name  records"])
    assert written(COLUMNS, [[], []])[0] == 0


def test_only_the_header_is_bold():
    _, lines = written(texts("a"), [[("x",)]], colour=True)
    assert lines == ["\x1b[1ma\x1b[0m", "x"]


def test_a_hostile_cell_stays_on_its_line_and_cannot_steer_the_terminal():
    rows, lines = written(texts("user_agent"), [[("\x1b]0;owned\x07\nroot\u202e",)]])
    assert (rows, lines[1:]) == (1, ["\\x1b]0;owned\\x07\\nroot\\u202e"])


def test_piped_cells_are_never_cut():
    long = "x" * 5000
    _, lines = written(texts("a", "b"), [[(long, "end"), ("short", "end")]])
    assert lines[1] == f"{long}  end"
    assert len(lines[2]) == 105, "a giant cell does not make every other line giant"


def test_on_a_terminal_wide_columns_give_way_and_narrow_ones_do_not():
    _, lines = written(texts("a", "b", "c"), [[("i-0abc", "x" * 100, "y" * 60)]], width=50)
    assert lines[1] == f"i-0abc  {'x' * 19}…  {'y' * 19}…"
    assert len(lines[1]) == 50


def test_times_and_numbers_are_never_cut():
    _, lines = written(COLUMNS, [[(WHEN, "a" * 90, 1234567890)]], width=20)
    assert lines[1] == "2026-03-01 09:15:02  aaaaaaa…  1234567890"


def test_what_fits_the_terminal_is_not_cut():
    _, lines = written(texts("a", "b"), [[("x" * 38, "y" * 40)]], width=80)
    assert lines[1] == f"{'x' * 38}  {'y' * 40}"


def test_east_asian_letters_take_two_cells_and_combining_marks_none():
    _, lines = written(texts("user_name", "b"), [[("山田太郎", "x"), ("e\u0301va", "x")]])
    assert lines[1:] == ["山田太郎   x", "e\u0301va        x"]


def test_a_wide_letter_is_not_cut_in_half():
    _, lines = written(texts("a", "b"), [[("山田太郎山田太郎", "x" * 8)]], width=18)
    assert lines[1] == "山田太…   xxxxxxxx"


def test_a_wider_row_in_a_later_chunk_widens_the_column_from_there_on():
    _, lines = written(texts("a", "b"), [[("x", "1")], [("xxxx", "2"), ("x", "3")]])
    assert lines == ["a  b", "x  1", "xxxx  2", "x     3"]


def test_rows_are_written_while_later_ones_are_still_to_come():
    out = io.StringIO()
    seen = []

    def chunks():
        for n in itertools.count():
            seen.append(out.getvalue().count("\n"))
            if n == 3:
                return
            yield [("x",)] * 2500

    assert write_table(Table(texts("a"), chunks()), out, None, colour=False) == 7500
    assert seen == [0, 2501, 5001, 7501]
