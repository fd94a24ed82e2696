"""The operator's hand on a real server: drains, forced states, their ends, what survives."""

from __future__ import annotations

import shutil
import time

import pytest

from running import CONFIG, Running, wait_for

FRA, IAD = {"127.10.1.1"}, {"127.10.2.1"}
RESUMED = CONFIG.replace(
    "pools:\n  web-fra: {{ datacenter: fra,",
    "pools:\n  web-fra: {{ manual_resume: true, datacenter: fra,",
)


@pytest.fixture
def running(lasting: Running) -> Running:
    """The module's server, which runs, with nothing forced."""
    for override in listed(lasting):
        status, _ = lasting.call(
            "DELETE", f"/v1/overrides/{override['kind']}/{override['name']}?why=next"
        )
        assert status == 200
    lasting.renew()
    return lasting


def listed(running: Running) -> list[dict[str, str]]:
    status, body = running.call("GET", "/v1/overrides")
    assert status == 200
    return body["overrides"]  # type: ignore[return-value]


def test_a_drained_data_center_is_left_at_once_and_used_again_when_cleared(
    running: Running,
) -> None:
    assert running.addresses() == FRA
    body = running.force("datacenter/fra", "drain")
    assert running.addresses() == IAD
    assert body["kept"] is True
    (override,) = listed(running)
    assert (override["state"], override["real"], override["who"]) == ("drain", "up", "local")
    status, _ = running.call("DELETE", "/v1/overrides/datacenter/fra?why=done")
    assert status == 200
    assert running.addresses() == FRA
    told = running.events("override")
    assert len(told) == 2
    assert "from=none to=drain" in told[0]
    assert 'why="a test"' in told[0]
    assert "from=drain to=none" in told[1]
    assert "why=done" in told[1]


def test_the_narrowest_override_wins_whatever_the_probes_say(running: Running) -> None:
    running.force("datacenter/fra", "drain")
    running.force("endpoint/127.10.1.1", "up", until="1h")
    assert running.addresses() == FRA
    running.close("127.10.1.1")
    running.wait_events("transition", 1)
    assert running.addresses() == FRA
    running.call("DELETE", "/v1/overrides/endpoint/127.10.1.1?why=enough")
    assert running.addresses() == IAD


def test_a_bare_name_finds_its_object_and_an_unknown_one_is_said(running: Running) -> None:
    body = running.force("object/fra", "drain")
    assert body["override"]["kind"] == "datacenter"  # type: ignore[index]
    status, problem = running.call(
        "PUT", "/v1/overrides/object/fran", {"state": "drain", "why": "x"}
    )
    assert status == 404
    assert 'did you mean "fra"?' in str(problem["detail"])


def test_an_override_ends_by_itself_and_says_so(running: Running) -> None:
    running.force("pool/web-fra", "drain", until="2s")
    assert running.addresses() == IAD
    running.wait_events("expiry", 1)
    assert running.addresses() == FRA


def test_a_drain_with_a_lead_answers_on_with_short_ttls_until_it_takes_effect(
    running: Running,
) -> None:
    assert running.ask().answer[0].ttl == 30
    running.force("datacenter/fra", "drain", lead="3s")
    reply = running.ask()
    assert {str(rdata) for rdata in reply.answer[0]} == FRA
    assert reply.answer[0].ttl == 7
    wait_for(lambda: running.addresses() == IAD, 10)
    assert running.ask().answer[0].ttl == 30


def test_overrides_survive_kill_9_are_told_and_in_the_first_answer_until_they_end(
    running: Running,
) -> None:
    running.force("endpoint/127.10.1.1", "up", until="1s")
    running.force("pool/web-iad", "down", why="broken switch")
    running.force("datacenter/fra", "drain", until="1h")
    running.kill()
    ends = time.time() + 1
    wait_for(lambda: time.time() > ends)  # while nobody runs
    running.start()
    # Nothing is left that is up, so the last resort puts back what is only drained.
    assert running.addresses() == FRA
    running.call("DELETE", "/v1/overrides/pool/web-iad?why=mended")
    assert running.addresses() == IAD
    (override,) = listed(running)
    assert (override["name"], override["why"]) == ("fra", "a test")
    assert 'overrides="down pool/web-iad, drain datacenter/fra"' in running.events("start")[0]


def test_what_operators_do_is_not_cut_short(running: Running) -> None:
    for _ in range(15):
        running.force("datacenter/fra", "drain")
    assert len(running.events("override")) == 15


def test_a_pool_with_manual_resume_stays_out_until_somebody_says_so(running: Running) -> None:
    running.write(RESUMED)
    running.reload()
    running.close("127.10.1.1")
    running.wait_events("override", 1)
    assert running.addresses() == IAD
    running.open("127.10.1.1")
    running.wait_events("transition", 2)
    assert running.addresses() == IAD
    running.kill()
    running.start()
    assert running.addresses() == IAD
    (override,) = listed(running)
    assert (override["kind"], override["who"], override["real"]) == ("pool", "server", "up")
    running.call("DELETE", "/v1/overrides/pool/web-fra?why=checked")
    assert running.addresses() == FRA


def test_a_reload_keeps_overrides_and_those_of_gone_objects_wait(running: Running) -> None:
    running.force("pool/web-fra", "drain")
    running.write(CONFIG.replace("web-fra", "web-ffm"))
    assert running.call("GET", "/v1/overrides")[0] == 200
    running.reload()
    assert running.addresses() == FRA
    (override,) = listed(running)
    assert override["real"] == "nothing here has this name"
    running.write()
    running.reload()
    assert running.addresses() == IAD


def test_what_was_down_is_down_in_the_first_answer_after_kill_9(running: Running) -> None:
    running.close("127.10.1.1")
    running.wait_events("transition", 1)
    assert running.addresses() == IAD
    running.kill()
    running.start()
    assert running.addresses() == IAD
    # Not probed anew before the start either: it is as remembered, and stays so.
    assert not [line for line in running.events("transition") if "to=up" in line]


def test_a_successor_takes_over_the_overrides(running: Running) -> None:
    running.force("datacenter/fra", "drain")
    first = running.process
    assert first is not None
    running.start("--replace")
    assert first.wait(10) == 0
    assert first.stdout is not None
    first.stdout.close()
    assert running.addresses() == IAD
    running.force("datacenter/iad", "drain", until="1h")


@pytest.mark.parametrize("damage", ["garbage", "gone"])
def test_a_state_file_that_is_broken_costs_what_it_held_and_nothing_else(
    running: Running, damage: str
) -> None:
    running.force("datacenter/fra", "drain")
    running.kill()
    state, token = running.folder / "state", running.token
    if damage == "gone":
        shutil.rmtree(state)
    else:
        for file in state.glob("state.db*"):
            file.write_bytes(b"no database at all" * 100)
    running.start()
    assert running.addresses() == FRA
    running.force("datacenter/fra", "drain")
    assert running.addresses() == IAD
    assert (running.token == token) is (damage == "garbage")


def test_a_lead_said_again_brings_nothing_back_that_is_out(running: Running) -> None:
    running.force("datacenter/fra", "drain")
    assert running.addresses() == IAD
    body = running.force("datacenter/fra", "drain", lead="10m")
    assert running.addresses() == IAD
    assert body["warning"] == "it is out already and stays so: no lead"
    override = body["override"]
    assert isinstance(override, dict)
    assert override["effective_at"] == override["at"]
