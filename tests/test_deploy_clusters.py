"""The cluster files of ``deploy/``, and the commands of the guide to them: each is parsed by what would run it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from tests.test_docs import commands, parse_command

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
GUIDE = ROOT / "docs" / "guides" / "many_machines.md"


def joined(text: str) -> str:
    return text.replace("\\\n", " ")


def parse_torchrun(words: list[str]) -> None:
    """Parse the words after ``torchrun``, and those after ``-m pellucid`` as the command's."""
    from torch.distributed.run import get_args_parser

    options = get_args_parser().parse_args(words)
    assert (options.module, options.training_script) == (True, "pellucid")
    parse_command(options.training_script_args)


def test_documented_torchrun_commands_parse() -> None:
    found = list(commands("torchrun"))
    assert {block.page for block, _ in found} >= {GUIDE}
    for _, words in found:
        parse_torchrun(words)


@pytest.mark.parametrize("name", ["train.slurm", "translate.slurm"])
def test_scripts_for_slurm_run_commands_that_parse(name: str) -> None:
    script = DEPLOY / name
    subprocess.run(["bash", "-n", script], check=True)
    text = joined(script.read_text(encoding="utf-8"))
    # Variables of the shell are numbers or names of files.
    text = re.sub(r'"\$(SLURM_\w+)"', "1", text)
    text = re.sub(r'"\$\w+"', "F", text)
    if name == "train.slurm":
        (command,) = re.findall(r"'exec torchrun (.*?)'", text)
        parse_torchrun(shlex.split(command))
    else:
        (command,) = re.findall(r"^srun pellucid (.*)$", text, flags=re.M)
        parse_command(shlex.split(command))
    assert re.search(rf"^#   sbatch \S+ deploy/{name} ", text, flags=re.M)


def test_the_job_for_kubernetes_runs_a_command_that_parses() -> None:
    job = yaml.safe_load((DEPLOY / "translate-job.yaml").read_text(encoding="utf-8"))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    parse_command(container["args"])
    assert job["spec"]["completionMode"] == "Indexed"


def test_the_task_for_skypilot_has_documented_fields_and_a_command_that_parses() -> None:
    text = (DEPLOY / "translate-sky.yaml").read_text(encoding="utf-8")
    task = yaml.safe_load(text)
    # From docs.skypilot.co, "SkyPilot YAML" and "Volumes".
    documented = {
        "name",
        "workdir",
        "num_nodes",
        "resources",
        "envs",
        "secrets",
        "file_mounts",
        "volumes",
        "setup",
        "run",
    }
    assert task.keys() <= documented
    assert task["resources"].keys() <= {"infra", "cpus", "memory", "accelerators", "use_spot", "disk_size", "image_id"}
    variables = set(re.findall(r"\$(\w+)", task["run"]))
    assert variables == task["envs"].keys()
    assert set(task["envs"].values()) == {None}, "SkyPilot asks for a variable without a value"
    (shown,) = re.findall(r"^#   sky launch (.*)$", text, flags=re.M)
    assert set(re.findall(r"--env (\w+)=", shown)) == variables
    assert (ROOT / next(word for word in shown.split() if word.endswith(".yaml"))).is_file()
    change, command = task["run"].splitlines()
    assert [change.removeprefix("cd ")] == list(task["volumes"])
    words = shlex.split(re.sub(r'"\$\w+"', "F", command))
    assert words[0] == "pellucid"
    parse_command(words[1:])
    assert int(words[words.index("--threads") + 1]) == task["resources"]["cpus"]


@pytest.fixture
def ray_script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, which reads its options without a cluster."""
    is_installed = importlib.util.find_spec("ray") is not None
    for name in ("ray", "ray.data"):
        if not is_installed:
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
    spec = importlib.util.spec_from_file_location("translate_with_ray", DEPLOY / "translate_with_ray.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_commands_for_ray_name_files_and_options_that_exist(
    ray_script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = DEPLOY / "ray-cluster.yaml"
    shown = [shlex.split(line) for line in re.findall(r"^#   ray (.*)$", cluster.read_text(encoding="utf-8"), re.M)]
    shown += [words for _, words in commands("ray")]
    assert {words[0] for words in shown} == {"up", "submit"}
    for verb, config, *rest in shown:
        assert ROOT / config == cluster
        if verb == "submit":
            assert ROOT / rest[0] == Path(str(ray_script.__file__))
            monkeypatch.setattr(sys, "argv", rest)
            assert isinstance(ray_script.parse(), argparse.Namespace)


def test_the_cluster_installs_an_extra_that_exists() -> None:
    cluster = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text(encoding="utf-8"))
    (install,) = cluster["setup_commands"]
    (extra,) = re.findall(r"pellucid\[(\w+)\]", install)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert extra in extras
    assert cluster["min_workers"] <= cluster["max_workers"] == len(cluster["provider"]["worker_ips"])


def test_ray_takes_the_cluster_file() -> None:
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text(encoding="utf-8")), schema)


def test_the_guide_leads_to_every_cluster_file() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    names = ("train.slurm", "translate.slurm", "translate-job.yaml", "translate-sky.yaml", "ray-cluster.yaml")
    for name in (*names, "translate_with_ray.py"):
        assert f"deploy/{name}" in guide
        assert (DEPLOY / name).is_file()
