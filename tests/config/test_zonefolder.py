"""The zones folder: files good and bad, $INCLUDE, several zones."""

import os

import pytest
from gslb.config import zonesource
from gslb.config.zonefolder import Steer, read_zones
from gslb.core.setting import Limits
from gslb.errors import Problem, Where
from gslb.wire.name import from_text
from gslb.wire.rrtype import STEER, A
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HEAD = """$TTL 300
@ SOA ns1 host 7 7200 900 1209600 60
  NS ns1
  NS ns.example.net.
ns1 A 192.0.2.1
"""


@pytest.fixture
def load(tmp_path):
    """Write files and read the folder; messages call it "zones"."""

    def write_and_read(**files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_zones(str(tmp_path), Limits(), "zones")

    return write_and_read


def told(folder):
    return [str(problem) for problem in folder.problems]


def places(folder):
    return [(p.where.file, p.where.line, p.severity) for p in folder.problems]


def test_a_good_zone_gives_its_names_and_no_problem(load):
    folder = load(a_test_zone=HEAD + "www 30 STEER web\n*.img A 192.0.2.9\n")
    assert folder.problems == ()
    (zone,) = folder.zones
    assert (zone.apex, zone.serial) == (from_text("a.test"), 7)
    assert zone.find(from_text("www.a.test")).steer == ("web", 30)
    assert zone.find(from_text("img.a.test")).rrsets == ()
    assert zone.find(from_text("*.img.a.test")).get(A).rdatas == (b"\xc0\x00\x02\x09",)


def test_steers_say_policy_ttl_and_the_place_of_the_policys_name(load):
    folder = load(a_test_zone="$ORIGIN b.test.\n" + HEAD + "www 30 STEER (\n  web )\n")
    where = Where("zones/a.test.zone", 8, 3)
    steer = Steer(from_text("www.b.test"), "web", 30, where, from_text("b.test"))
    assert folder.steers == (steer,)


def test_a_steer_of_a_zone_with_errors_is_known_though_the_zone_is_not(load):
    folder = load(a_test_zone=HEAD + "www 30 STEER web\nwww A\n")
    assert folder.zones == ()
    assert [steer.policy for steer in folder.steers] == ["web"]


def test_seven_errors_of_seven_are_told_with_their_lines(load):
    folder = load(
        a_test_zone=HEAD  # lines 1 to 5
        + "a A 192.0.2.300\n"  # 6
        + "b.example.net. A 192.0.2.1\n"  # 7
        + 'c TXT (\n  "open )\n'  # 8, the quote on 9
        + "d CNAME ns1\nd TXT x\n"  # 10
        + "$FOO\n"  # 12
        + "e FOO 1\n"  # 13
        + "f STEER web\nf AAAA ::1\n"  # 14
    )
    lines = [problem.where.line for problem in folder.problems if problem.severity == "error"]
    assert lines == [6, 7, 9, 10, 12, 13, 14]


def test_a_message_has_file_line_column_entry_and_advice(load):
    folder = load(a_test_zone=HEAD + "www  A 192.0.2.300 ; comment\n")
    assert told(folder) == [
        'zones/a.test.zone:6:8: error: "www A 192.0.2.300 ; comment": '
        '"192.0.2.300" is not an IPv4 address; write it as A 192.0.2.1'
    ]


def test_several_zones_are_read_and_hidden_or_other_files_are_not(load):
    folder = load(
        a_test_zone=HEAD, b_test_zone=HEAD, _hidden_zone="x", c_test_zone_bak="x", sub__d_zone="x"
    )
    assert folder.problems == ()
    assert [zone.apex for zone in folder.zones] == [from_text("a.test"), from_text("b.test")]


def test_a_bad_zone_does_not_take_its_neighbour_along(load):
    folder = load(a_test_zone=HEAD, b_test_zone="nonsense\n" + HEAD)
    assert [zone.apex for zone in folder.zones] == [from_text("a.test")]
    assert {place[0] for place in places(folder)} == {"zones/b.test.zone"}


def test_a_zone_in_two_files_is_an_error_that_names_both(load):
    folder = load(a_test_zone=HEAD, b_test_zone="$ORIGIN A.test.\n" + HEAD)
    (problem,) = folder.problems
    assert problem.where.file == "zones/b.test.zone"
    assert "zones/a.test.zone" in problem.what


def test_carriage_returns_and_a_byte_order_mark_are_no_matter(load):
    text = "\ufeff" + HEAD + 't TXT "x"\nbad A\n'
    folder = load(a_test_zone=text.replace("\n", "\r\n"))
    assert [place[1] for place in places(folder)] == [7]


def test_an_include_is_read_with_its_origin_and_the_owner_comes_back(load):
    folder = load(
        a_test_zone=HEAD + "x A 192.0.2.2\n$INCLUDE inc/one sub\n  TXT back\n",
        inc__one="y A 192.0.2.3\n$TTL 60\n$INCLUDE two\n",
        inc__two="z A 192.0.2.4\n",
    )
    assert folder.problems == ()
    (zone,) = folder.zones
    assert [rrset.type for rrset in zone.find(from_text("x.a.test")).rrsets] == [A, 16]
    assert zone.find(from_text("y.sub.a.test")).rrsets[0].ttl == 300
    assert zone.find(from_text("z.sub.a.test")).rrsets[0].ttl == 60


def test_a_problem_in_an_included_file_has_that_files_place(load):
    folder = load(
        a_test_zone=HEAD + "$INCLUDE inc/one\n", inc__one="\ny STEER p\ny A 192.0.2.1\nq A\n"
    )
    assert places(folder) == [("zones/inc/one", 2, "error"), ("zones/inc/one", 4, "error")]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("$INCLUDE ../secret", "is outside the zones folder"),
        ("$INCLUDE /etc/passwd", "is outside the zones folder"),
        ("$INCLUDE link", "is outside the zones folder"),
        ("$INCLUDE absent", "cannot be read: No such file"),
        ("$INCLUDE", "this is no $INCLUDE"),
        ("$INCLUDE a b c", "this is no $INCLUDE"),
        ('$INCLUDE "', "this is no $INCLUDE"),
        ("$INCLUDE inner a..b", "has an empty label"),
        ("$INCLUDE .", "is outside the zones folder"),
    ],
)
def test_an_include_that_cannot_be_is_told_at_its_line(load, tmp_path, line, what):
    (tmp_path / "link").symlink_to("/etc/hostname")
    folder = load(a_test_zone=HEAD + line + "\n", inner="")
    (problem,) = folder.problems
    assert (problem.where.file, problem.where.line) == ("zones/a.test.zone", 6)
    assert what in problem.what


def test_files_that_include_each_other_are_named_in_order(load):
    folder = load(a_test_zone=HEAD + "$INCLUDE one\n", one="$INCLUDE two\n", two="$INCLUDE one\n")
    (problem,) = folder.problems
    assert "one → two → one" in problem.what
    assert (problem.where.file, problem.where.line) == ("zones/two", 1)


def test_includes_are_at_most_eight_deep(load):
    chain = {f"f{n}": f"$INCLUDE f{n + 1}\n" for n in range(1, 9)}
    folder = load(a_test_zone=HEAD + "$INCLUDE f1\n", f9="x A 192.0.2.1\n", **chain)
    (problem,) = folder.problems
    assert (problem.where.file, "deep" in problem.what) == ("zones/f8", True)
    assert load(f8="x A 192.0.2.1\n").problems == ()


def test_includes_that_multiply_run_out_of_budget(load, monkeypatch):
    monkeypatch.setattr(zonesource.Budget.__init__, "__defaults__", (1 << 20,))
    files = {f"f{n}": f"$INCLUDE f{n + 1}\n" * 8 for n in range(1, 8)}
    folder = load(a_test_zone=HEAD + "$INCLUDE f1\n", f8="", **files)
    assert any("more than 1 MiB" in problem.what for problem in folder.problems)


@pytest.mark.parametrize(
    ("content", "line", "column", "what"),
    [
        (b"", 0, 0, "is empty"),
        (b" \n\n", 0, 0, "is empty"),
        (b"; nothing yet\n$TTL 60\n", 0, 0, "has no record"),
        (b"\x7fELF\x00\x00", 1, 1, "is not text"),
        (HEAD.encode() + b"a TXT \x00", 6, 7, "is not text"),
        (HEAD.encode() + b"a TXT \xff", 6, 7, "is not UTF-8"),
        (HEAD.encode() + "é TXT ".encode() + b"\xff", 6, 7, "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_text_is_told_at_its_first_bad_octet(load, content, line, column, what):
    (problem,) = load(a_test_zone=content).problems
    assert problem.where == Where("zones/a.test.zone", line, column)
    assert what in problem.what


def test_a_file_over_the_limit_is_refused_unread(load, monkeypatch):
    monkeypatch.setattr(zonesource.Budget.__init__, "__defaults__", (1 << 20,))
    (problem,) = load(a_test_zone=HEAD + ";" * (1 << 20)).problems
    assert problem.what == "a zone's files have more than 1 MiB"


def test_what_is_no_file_is_told_and_not_waited_for(tmp_path):
    (tmp_path / "dir.zone").mkdir()
    (tmp_path / "loop.zone").symlink_to("loop.zone")
    (tmp_path / "gone.zone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.zone")
    said = {p.where.file: p.what for p in read_zones(str(tmp_path), Limits(), "z").problems}
    assert said["z/dir.zone"] == "cannot be read: it is no regular file"
    assert said["z/pipe.zone"] == "cannot be read: it is no regular file"
    assert "symbolic links" in said["z/loop.zone"]
    assert "No such file" in said["z/gone.zone"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(load, tmp_path):
    load(a_test_zone=HEAD)
    (tmp_path / "a.test.zone").chmod(0)
    assert "Permission denied" in read_zones(str(tmp_path), Limits()).problems[0].what


def test_a_folder_that_is_missing_or_empty_is_an_error(tmp_path):
    absent = read_zones(str(tmp_path / "absent"), Limits(), "zones/")
    assert absent.problems == (
        Problem(
            Where("zones/"),
            "zones folder",
            "cannot be read: No such file or directory",
            "make it, or mend the path",
        ),
    )
    (problem,) = read_zones(str(tmp_path), Limits()).problems
    assert (problem.where.file, problem.severity) == (str(tmp_path), "error")


def test_a_zone_of_too_many_records_is_told_where_they_became_too_many(tmp_path):
    (tmp_path / "a.test.zone").write_text(HEAD + "$INCLUDE more\nz A 192.0.2.9\n")
    (tmp_path / "more").write_text("$GENERATE 1-3 x$ A 192.0.2.$\ny A 192.0.2.8\n")
    assert read_zones(str(tmp_path), Limits(zone=9), "zones").problems == ()
    folder = read_zones(str(tmp_path), Limits(zone=7), "zones")
    assert folder.zones == ()
    (problem,) = folder.problems
    assert str(problem) == (
        "zones/more:2: error: more than 7 records in one zone; "
        "take some away, or raise server.limits.zone"
    )
    assert problem.cap == "zone"


def test_a_file_of_errors_stops_at_a_thousand(load):
    folder = load(a_test_zone=HEAD + "x FOO\n" * 5000)
    assert len(folder.problems) == 1001
    assert any("left out" in problem.what for problem in folder.problems)


def test_a_file_name_of_any_octets_is_told_so_that_it_can_be_printed(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff.zone", "w") as file:
        file.write("a A 192.0.2.1\n")
    problems = read_zones(str(tmp_path), Limits()).problems
    assert any("is no origin" in problem.what for problem in problems)
    assert all("xff.zone" in str(problem).encode().decode() for problem in problems)


def test_a_zone_without_an_soa_is_told_whatever_its_file_is_called(tmp_path):
    (tmp_path / "a..b.zone").write_text("$ORIGIN x.test.\nx 60 TXT x\n")
    (problem,) = read_zones(str(tmp_path), Limits()).problems
    assert problem.what == "has no SOA record"


def test_generated_steers_are_known_with_the_line_that_made_them(load):
    folder = load(a_test_zone=HEAD + "$GENERATE 1-3 h$ 60 STEER web\n")
    assert [(s.owner[1:3], s.where.line, s.where.column) for s in folder.steers] == [
        (b"h1", 6, 27),
        (b"h2", 6, 27),
        (b"h3", 6, 27),
    ]
    assert folder.zones[0].find(from_text("h2.a.test")).get(STEER).ttl == 60


SNIPPETS = st.sampled_from(
    [
        HEAD,
        "@ ",
        " ",
        "\n",
        "$ORIGIN a.\n",
        "$GENERATE 1-9 a$ A 192.0.2.$\n",
        "$INCLUDE a.test.zone\n",
        "a NS b\n",
        "b.a CNAME a\n",
        "* STEER p\n",
        "@ SOA a b 1 2 3 4 5\n",
        "a HTTPS 1 . ipv4hint=192.0.2.1\n",
        "a TYPE65 \\# 3 000000\n",
        "(",
        ")",
        '"',
        "\\",
        "TXT",
        "\t",
        "999",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.lists(SNIPPETS | st.text(max_size=8), max_size=12).map("".join))
def test_any_file_gives_zones_or_problems_and_no_exception(load, content):
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    folder = load(a_test_zone=content)
    failed = any(problem.severity == "error" for problem in folder.problems)
    assert failed == (folder.zones == ())
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
    for problem in folder.problems:
        assert 0 <= problem.where.line <= lines
