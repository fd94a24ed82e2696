"""Which configuration is meant, and how the server it describes is reached."""

import pytest
from gslb import place
from gslb.core.setting import Settings
from gslb.errors import ConfigError


def test_the_file_named_is_meant_even_if_it_is_not_there():
    assert place.find_configuration("nowhere.yaml") == "nowhere.yaml"


def test_the_folder_comes_before_etc(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "etc.yaml"
    elsewhere.touch()
    monkeypatch.setattr(place, "CONFIGURATIONS", ("gslb.yaml", str(elsewhere)))
    assert place.find_configuration(None) == str(elsewhere)
    (tmp_path / "gslb.yaml").touch()
    assert place.find_configuration(None) == "gslb.yaml"


def test_no_configuration_at_all_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(place, "CONFIGURATIONS", ("gslb.yaml", str(tmp_path / "none.yaml")))
    with pytest.raises(ConfigError, match="name one with -c FILE"):
        place.find_configuration(None)


@pytest.mark.parametrize(
    ("listen", "asked", "url"),
    [
        (("127.0.0.1", 53), ("127.0.0.1", 53), "http://127.0.0.1:53"),
        (("0.0.0.0", 53), ("127.0.0.1", 53), "http://127.0.0.1:53"),
        (("::", 53), ("::1", 53), "http://[::1]:53"),
        (("2001:db8::1", 53), ("2001:db8::1", 53), "http://[2001:db8::1]:53"),
    ],
)
def test_a_wildcard_is_reached_on_loopback(listen, asked, url):
    settings = Settings(listen=(listen, ("192.0.2.1", 53)), control=listen)
    assert place.first_listen(settings) == asked
    assert place.control_url(settings) == url


def test_without_a_control_address_there_is_no_url():
    assert place.control_url(Settings(control=None)) is None


def test_settings_are_read_even_if_the_rest_is_broken(tmp_path):
    path = tmp_path / "gslb.yaml"
    path.write_text("server: {listen: 127.0.0.1:5399}\ncontrol: {listen: off}\npolicies: 7\n")
    settings = place.read_settings(str(path))
    assert settings.listen == (("127.0.0.1", 5399),)
    assert settings.control is None


@pytest.mark.parametrize("text", ["", "server: {listen: here}\n", "server: [\n"])
def test_settings_with_an_error_are_not_guessed(tmp_path, text):
    path = tmp_path / "gslb.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        place.read_settings(str(path))
    assert caught.value.problems[0].where.file.endswith("gslb.yaml")


def test_a_file_that_is_not_there_is_a_problem_with_a_place(tmp_path):
    with pytest.raises(ConfigError, match=r"gslb\.yaml: error: .*No such file"):
        place.read_settings(str(tmp_path / "gslb.yaml"))


def test_a_file_that_is_being_mended_still_has_its_last_good_copy(tmp_path):
    config, copies = tmp_path / "gslb.yaml", tmp_path / "kept" / "last-good"
    copies.mkdir(parents=True)
    (copies / "origin").write_text(str(config))
    (copies / "gslb.yaml").write_text("server: {state: kept}\ncontrol: {listen: 127.0.0.1:8099}\n")
    config.write_text("server: {state: kept}\ncontrol: [\n")
    told = []
    settings = place.find_settings(str(config), told.append)
    assert settings.control == ("127.0.0.1", 8099)
    assert settings.state == str(tmp_path / "kept")  # not inside the copy
    assert told == [
        f"{config} has errors; the settings are those of its last good copy, {copies}/gslb.yaml"
    ]
    config.write_text("server: {state: kept}\ncontrol: {listen: 127.0.0.1:8100}\n")
    assert place.find_settings(str(config), told.append).control == ("127.0.0.1", 8100)
    assert len(told) == 1


def test_without_a_copy_the_errors_are_told(tmp_path):
    config = tmp_path / "gslb.yaml"
    config.write_text("server: [\n")
    with pytest.raises(ConfigError, match=r"gslb\.yaml:"):
        place.find_settings(str(config))
