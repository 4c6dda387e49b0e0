"""The configuration: every mistake is named with file, key and remedy."""

from pathlib import Path

import pytest

from gateway.config import Address, ClientCertificates, GatewayConfig, LogFormat
from gateway.config_file import ConfigError, effective_settings, load_config

LEAST = """
[store]
store_id = "367"
[tls]
ca = "ca.pem"
certificate = "box.pem"
key = "/etc/keys/box.key"
[trust]
root = "root.json"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "posgate.toml"
    path.write_text(text)
    return path


def test_the_least_configuration_has_working_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, LEAST))
    assert config.listen.serving == Address(host="0.0.0.0", port=8443)
    assert config.listen.health.host == "127.0.0.1"
    assert config.tls.client_certificates is ClientCertificates.REQUIRED
    assert config.cloud.bundles_url == ""
    assert config.log.format is LogFormat.TEXT
    assert isinstance(config, GatewayConfig)


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, LEAST))
    assert config.tls.ca == tmp_path / "ca.pem"
    assert config.tls.key == Path("/etc/keys/box.key")


def test_an_ipv6_address_is_read_and_written(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, LEAST + '[listen]\nserving = "[::]:9000"\n'))
    assert config.listen.serving == Address(host="::", port=9000)
    assert config.listen.serving.target == "[::]:9000"


def test_effective_settings_say_who_said_so(tmp_path: Path) -> None:
    settings = {s.key: s for s in effective_settings(write(tmp_path, LEAST))}
    assert settings["store.store_id"].origin == "file"
    assert settings["store.time_zone"].origin == "default"
    assert settings["listen.control"].value == "0.0.0.0:8444"
    assert settings["log.format"].value == "text"
    assert settings["cloud.deep_ca"].value == ""


MISTAKES = {
    "unknown section": (LEAST + "[clowd]\n", "clowd", "remove it"),
    "unknown key": (LEAST + "[cloud]\nbundle_url = 'x'\n", "cloud.bundle_url", "bundles_url"),
    "missing section": ("[store]\nstore_id = '1'\n", "tls.ca", "add it"),
    "missing key": (LEAST.replace('ca = "ca.pem"\n', ""), "tls.ca", "add it"),
    "store id": (LEAST.replace("367", "3 6"), "store.store_id", "1 to 64"),
    "time zone": (LEAST.replace('"367"', '"367"\ntime_zone = "Mars/X"'), "store.time_zone", "IANA"),
    "no port": (LEAST + "[listen]\nserving = 'box'\n", "listen.serving", "[1, 65535]"),
    "port zero": (LEAST + "[listen]\nserving = 'box:0'\n", "listen.serving", "[1, 65535]"),
    "one port twice": (LEAST + "[listen]\nserving = 'a:8444'\n", "listen", "their own"),
    "certificates": (
        LEAST.replace("[trust]", 'client_certificates = "optional"\n[trust]'),
        "tls.client_certificates",
        "off, required",
    ),
    "url scheme": (LEAST + "[cloud]\nbundles_url = 'ftp://x'\n", "cloud.bundles_url", "https://"),
    "half a pair": (LEAST + "[cloud]\ndeep_key = 'k'\n", "cloud", "both or neither"),
    "range": (
        LEAST + "[cloud]\npoll_interval_s = 0\n",
        "cloud.poll_interval_s",
        "number in [0.1, 86400]",
    ),
    "type": (LEAST + "[journal]\nsize_mib = '64'\n", "journal.size_mib", "integer in [1, 4096]"),
    "order": (
        LEAST + "[admission]\nmin_concurrency = 9\nmax_concurrency = 8\n",
        "admission.max_concurrency",
        "integer in [9, 1024]",
    ),
    "run is state": (
        LEAST + "[paths]\nstate_dir = '/x'\nrun_dir = '/x'\n",
        "paths.run_dir",
        "folder in memory",
    ),
    "socket path": (LEAST + f"[paths]\nrun_dir = '/{'x' * 95}'\n", "paths.run_dir", "94 bytes"),
    "log level": (LEAST + "[log]\nlevel = 'LOUD'\n", "log.level", "DEBUG"),
    "a table is a number": ("store = 3\n", "store", "{...}"),
    "not TOML": ("[store\n", "", "correct that line"),
}


@pytest.mark.parametrize(("text", "key", "remedy"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named(tmp_path: Path, text: str, key: str, remedy: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.key == key
    assert remedy in caught.value.remedy
    assert str(caught.value).startswith(f"{path}: {key}" if key else str(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load_config(tmp_path / "nowhere.toml")


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "posgate.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config(path)


def test_a_wrong_file_leaves_no_value_of_it_in_the_message(tmp_path: Path) -> None:
    secret = "x" * 200
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, LEAST.replace("367", secret)))
    assert secret not in str(caught.value)
