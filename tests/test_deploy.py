"""What the files in ``deploy/`` name exists: commands, options, paths of HTTP, metrics, files, folders.

Docker, Prometheus and Grafana are not needed: their files are parsed here. HAProxy's and systemd's own checkers run
where they are installed.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.test_docs import parse_command
from tests.unit.serving.service_kit import Shouter, pair_of

from pellucid.config.service import ServiceConfig
from pellucid.jobs.service.opening import read_service_config, refuse_unguarded
from pellucid.serving.models.pool import ModelPool
from pellucid.serving.protocols.routes import service_routes
from pellucid.serving.service import Service

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTRUCTIONS = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "VOLUME",
    "WORKDIR",
}  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Service:
    return Service(ModelPool([pair_of(Shouter())]), ServiceConfig())


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_yaml("compose.yaml")


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, continuation lines undone."""
    text = re.sub(r"^#.*\n", "", read("Dockerfile"), flags=re.M).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.split("\n") if line.strip()]


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def read_yaml(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load(read(name))
    assert isinstance(loaded, dict)
    return loaded


def known_metrics(service: Service) -> set[str]:
    """Names of the series of the service, those of histograms and counters included."""
    service.metrics.answered("/translate", 200, 0.1)
    service.metrics.refused("full")
    lines = service.metrics.text().decode().split("\n")
    return {re.split(r"[{ ]", line)[0] for line in lines if line and not line.startswith("#")}


def test_every_file_is_looked_at_here_or_is_known() -> None:
    files = (path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc")  # tests import one of them
    names = {str(path.relative_to(DEPLOY)) for path in files}
    assert names == {
        "Dockerfile", "Dockerfile.dockerignore", "compose.yaml", "haproxy.cfg", "pellucid.service", "prometheus.yml",
        "serve.toml",
        "grafana/dashboard.json", "grafana/datasource.yaml", "grafana/provider.yaml",
        # test_deploy_clusters.py
        "ray-cluster.yaml", "train.slurm", "translate-job.yaml", "translate-sky.yaml", "translate.slurm",
        "translate_with_ray.py",
    }  # fmt: skip


def test_metrics_of_the_dashboard_exist(service: Service) -> None:
    dashboard = json.loads(read("grafana/dashboard.json"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for one in expressions for name in re.findall(r"\b(?:pellucid|process)_[a-z_]+", one)}
    assert named <= known_metrics(service)
    own = {name for name in known_metrics(service) if name.startswith("pellucid_")}
    shown = {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in named}
    assert {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in own} <= shown, "a metric is not shown"
    sources = {(panel["datasource"]["uid"], panel["datasource"]["type"]) for panel in dashboard["panels"]}
    assert sources == {(one["uid"], one["type"]) for one in read_yaml("grafana/datasource.yaml")["datasources"]}
    labels = {name for one in expressions for name in re.findall(r"([a-z]+)(?==|!~)", one)}
    assert labels <= {"job", "route"}
    paths = {path for one in expressions for match in re.findall(r'route!~"([^"]+)"', one) for path in match.split("|")}
    assert paths <= {route.path for route in service_routes(service)}


def test_prometheus_asks_each_instance(service: Service, compose: dict[str, Any]) -> None:
    (job,) = read_yaml("prometheus.yml")["scrape_configs"]
    assert job["job_name"] == "pellucid", "the dashboard asks for this job"
    assert job["metrics_path"] in {route.path for route in service_routes(service)}
    port = read_service_config(DEPLOY / "serve.toml").port
    instances = {name for name in compose["services"] if name.startswith("pellucid-")}
    assert {target for one in job["static_configs"] for target in one["targets"]} == {f"{i}:{port}" for i in instances}


def test_the_balancer_knows_every_instance_and_its_paths(service: Service, compose: dict[str, Any]) -> None:
    text = read("haproxy.cfg")
    port = read_service_config(DEPLOY / "serve.toml").port
    instances = {name for name in compose["services"] if name.startswith("pellucid-")}
    for backend in re.split(r"^backend ", text, flags=re.M)[1:]:
        assert dict(re.findall(r"^  server (\S+) (\S+)$", backend, flags=re.M)) == {i: f"{i}:{port}" for i in instances}
    routes = {route.path for route in service_routes(service)}
    for paths in re.findall(r"(?:httpchk GET|\{ path(?:_beg)?) ([^}\n]+)", text):
        for path in paths.split():
            assert any(route == path or route.startswith(path.rstrip("/") + "/") for route in routes), path
    kept = {path for path in routes if re.search(r"document|glossar|file", path) and not path.startswith("/v1/")}
    (stateful,) = re.findall(r"use_backend with_state if \{ path_beg ([^}]+) \}", text)
    assert all(path.startswith(tuple(stateful.split())) for path in kept), "what one instance keeps in its memory"


def test_haproxy_takes_its_configuration(tmp_path: Path) -> None:
    if (program := shutil.which("haproxy")) is None:
        pytest.skip("haproxy is not installed")
    # Here no machine has the names of the instances.
    (tmp_path / "haproxy.cfg").write_text(re.sub(r" pellucid-(\d):8642", r" 127.0.0.\1:8642", read("haproxy.cfg")))
    subprocess.run([program, "-c", "-f", str(tmp_path / "haproxy.cfg")], check=True, capture_output=True)


def test_the_configuration_is_read_and_its_key_is_nobodys() -> None:
    config = read_service_config(DEPLOY / "serve.toml")
    refuse_unguarded(config)
    assert [key.sha256 for key in config.keys] == ["0" * 64]


def test_there_is_time_to_finish(compose: dict[str, Any]) -> None:
    limits = read_service_config(DEPLOY / "serve.toml").limits
    needed = limits.notice_seconds + limits.drain_seconds
    for name in ("pellucid-1", "pellucid-2", "pellucid-3"):
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) > needed
    assert int(unit()["Service"]["TimeoutStopSec"]) > needed
    timeouts = dict(re.findall(r"timeout (\w+) (\d+)s", read("haproxy.cfg")))
    assert int(timeouts["server"]) > limits.document_seconds
    assert int(timeouts["client"]) > limits.longest_deadline_seconds


def test_compose_names_what_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, one in services.items():
        assert set(one.get("depends_on", [])) <= set(services), name
        for volume in one["volumes"]:
            place = volume.split(":")[0]
            if place.startswith("./"):
                assert (DEPLOY / place).is_file(), volume
            elif not place.startswith("../"):
                assert place in compose["volumes"], volume
        for port in one.get("ports", []):
            assert port.startswith("127.0.0.1:"), "nothing is open to other machines"
        if "build" in one:
            parse_command(one["command"])
            assert (DEPLOY / one["build"]["context"] / one["build"]["dockerfile"]).is_file()
    (provider,) = read_yaml("grafana/provider.yaml")["providers"]
    assert any(provider["options"]["path"] in volume for volume in services["grafana"]["volumes"])


def test_the_dockerfile_builds_from_what_is_there(instructions: list[tuple[str, str]]) -> None:
    assert next(name for name, _ in instructions if name != "ARG") == "FROM"
    assert {name for name, _ in instructions} <= INSTRUCTIONS
    admitted = {line[1:] for line in read("Dockerfile.dockerignore").split("\n") if line.startswith("!")}
    copied = {word for name, words in instructions if name == "COPY" for word in words.split()[:-1]}
    assert admitted == {word.removeprefix("./") for word in copied}, "nothing else is sent to the builder"
    for name, words in instructions:
        if name == "COPY":
            assert all((ROOT / word).exists() for word in words.split()[:-1]), words
    runs = [words for name, words in instructions if name == "RUN"]
    installs = [shlex.split(words) for words in runs if words.startswith("pip install")]
    assert [words[-1] for words in installs] == [".[detect]"]
    assert "`pip install .`" in README, "the README installs it in the same way"
    (user,) = [words for name, words in instructions if name == "USER"]
    assert user != "root"


def test_the_container_runs_the_command(instructions: list[tuple[str, str]]) -> None:
    last = {name: words for name, words in instructions if name in {"ENTRYPOINT", "CMD"}}
    command = [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]
    assert command[0] == "pellucid"
    parse_command(command[1:])
    (check,) = [words for name, words in instructions if name == "HEALTHCHECK"]
    program = json.loads(check.partition("CMD ")[2])
    compile(program[2], "HEALTHCHECK", "exec")
    assert "/healthz" in program[2]


def test_the_container_writes_only_to_a_volume_of_its_user(
    instructions: list[tuple[str, str]], compose: dict[str, Any]
) -> None:
    # With a read-only root, the compiler and Python need a folder for temporary files, too.
    names = [name for name, _ in instructions]
    (volumes,) = [words.split() for name, words in instructions if name == "VOLUME"]
    volume, state = volumes
    (environment,) = [words for name, words in instructions if name == "ENV"]
    assert set(environment.split()) == {f"PELLUCID_CACHE={volume}", f"TMPDIR={volume}"}
    made = next(place for place, (_, words) in enumerate(instructions) if words.startswith("mkdir"))
    assert names.index("USER") < made < names.index("VOLUME"), "the folder of the volume belongs to the user"
    for name in ("pellucid-1", "pellucid-2", "pellucid-3"):
        one = compose["services"][name]
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])
        own = f"state-{name[-1]}:{state}"
        assert [each for each in one["volumes"] if not each.endswith(":ro")] == [f"cache:{volume}", own]


def test_corrections_and_glossaries_have_a_folder_that_can_be_written(
    instructions: list[tuple[str, str]], tmp_path: Path
) -> None:
    (volumes,) = [words.split() for name, words in instructions if name == "VOLUME"]
    assert f"/var/lib/{unit()['Service']['StateDirectory']}" in volumes
    lines = re.sub(r"^# (?=\w+ = )", "", read("serve.toml"), flags=re.M)
    (tmp_path / "serve.toml").write_text(lines, encoding="utf-8")
    config = read_service_config(tmp_path / "serve.toml")
    assert {str(Path(one).parent) for one in (config.corrections, config.glossary_folder)} == {volumes[-1]}


def test_behind_another_server_clients_are_told_apart() -> None:
    (stateful,) = re.findall(r"^backend with_state\n  balance (.*)$", read("haproxy.cfg"), flags=re.M)
    assert stateful == "hash var(txn.client)"
    (said,) = re.findall(r"set-var\(txn.client\) req.hdr\((Authorization)\)", read("haproxy.cfg"))
    assert said == "Authorization"


def test_prometheus_takes_its_configuration() -> None:
    if (program := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed")
    subprocess.run([program, "check", "config", DEPLOY / "prometheus.yml"], check=True, capture_output=True)


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / "pellucid.service", encoding="utf-8")
    return parser


def test_the_unit_runs_the_command_and_starts_it_again_after_an_error() -> None:
    service = unit()["Service"]
    words = shlex.split(service["ExecStart"])
    assert words[0].endswith("/bin/pellucid")
    parse_command(words[1:])
    assert (service["KillSignal"], service["Restart"]) == ("SIGTERM", "on-failure")
    assert service["LoadCredential"].partition(":")[0] == words[-1].removeprefix("%d/")
    if (program := shutil.which("systemd-analyze")) is not None:
        done = subprocess.run([program, "verify", DEPLOY / "pellucid.service"], capture_output=True, text=True)
        said = [line for line in done.stderr.split("\n") if "pellucid.service" in line]
        assert not [line for line in said if "not executable" not in line], (
            "the folder /usr/local/lib/pellucid is not here"
        )


@pytest.mark.parametrize("name", ["compose.yaml", "pellucid.service", "Dockerfile", "serve.toml"])
def test_comments_name_commands_and_files_that_exist(name: str) -> None:
    comments = "\n".join(re.findall(r"^# ?(.*)$", read(name), flags=re.M)).replace("\\\n", " ")
    for words in re.findall(r"`pellucid ([^`]+)`", comments):
        parse_command(shlex.split(words))
    for place in re.findall(r"(?<![\w/])(?:deploy|docs)/[\w./-]+\w", comments):
        assert (ROOT / place).exists(), place
