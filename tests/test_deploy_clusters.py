"""The cluster files of ``deploy/``, and the commands of the guide to them: each is parsed by what would run it."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml
from tests.test_docs import blocks, commands, parse_command

from pellucid.cli.main import app
from pellucid.jobs.clusters import ray as ray_jobs
from pellucid.jobs.options.parts import PATIENCE_SECONDS

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


def fake_programs(folder: Path, **bodies: str) -> dict[str, str]:
    """Write programs of Slurm's names; return an environment in which they are found first."""
    folder.mkdir()
    for name, body in bodies.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


def test_the_script_of_training_hands_over_what_it_was_given(tmp_path: Path) -> None:
    """Slurm's programs are played; names with blanks reach the command whole, and a list longer than a pipe is read."""
    environment = fake_programs(
        tmp_path / "bin", srun='exec "$@"', scontrol="seq -f node%.0f 0 20000", torchrun="printf '%s\\n' \"$@\""
    )
    environment |= {"SLURM_JOB_NODELIST": "node[0-1]", "SLURM_NNODES": "2", "SLURM_NODEID": "1"}
    command = ["bash", DEPLOY / "train.slurm", "a recipe.toml", "the data", "the output"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    parse_torchrun(words)
    given = {name: words[words.index(name) + 1] for name in ("--nnodes", "--node-rank", "--master-addr")}
    assert given == {"--nnodes": "2", "--node-rank": "1", "--master-addr": "node0"}
    assert words[words.index("--recipe") :] == [
        "--recipe", "a recipe.toml", "--data-dir", "the data", "--output", "the output",
    ]  # fmt: skip


def test_the_script_of_translating_translates(tmp_path: Path) -> None:
    environment = fake_programs(
        tmp_path / "bin", srun='exec "$@"', pellucid=f'exec "{sys.executable}" -m pellucid "$@"'
    )
    (tmp_path / "in put").write_text("The cat is very tired.\n")
    model = ROOT / "src/pellucid/sample/walkthrough/model"
    command = ["bash", DEPLOY / "translate.slurm", model, "in put", "out put"]
    subprocess.run(command, cwd=tmp_path, env=environment | {"SLURM_CPUS_PER_TASK": "1"}, check=True)
    assert (tmp_path / "out put").read_text() == "Le chat est très fatigué.\n"


def test_every_command_of_the_guide_is_parsed_by_a_test() -> None:
    """Those of torchrun, pellucid and Ray in blocks by the tests beside this one, those of Slurm in the text here."""
    for block in blocks(GUIDE):
        if block.language == "python":
            tree = ast.parse(block.text)
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
            assert {call.func.id for call in calls} == {"Path", "checkpointed", "translate_dataset"}
            for call in calls:
                if call.func.id != "Path":
                    names = [word.arg for word in call.keywords]
                    inspect.signature(getattr(ray_jobs, call.func.id)).bind(*call.args, **dict.fromkeys(names))
            continue
        assert block.language == "sh"
        for line in joined(block.text).strip().split("\n"):
            assert line.split()[0] in {"torchrun", "pellucid", "ray"}, line
    shown = re.findall(r"`sbatch ([^`]+)`", GUIDE.read_text(encoding="utf-8"))
    assert {word for one in shown for word in one.split() if word.startswith("deploy/")} == {
        "deploy/train.slurm",
        "deploy/translate.slurm",
    }
    for one in shown:
        (script,) = [word for word in one.split() if word.startswith("deploy/")]
        assert f"#   sbatch {one}\n" in (ROOT / script).read_text(encoding="utf-8"), "the script says the same"
        option, *operands = [word for word in one.split() if word != script]
        assert re.fullmatch(r"--(nodes=\d+|array=\d+-\d+)", option)
        assert len(operands) == len(set(re.findall(r"=(\$\d)", (ROOT / script).read_text(encoding="utf-8"))))


def options_of_ray(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The options of the script by name, with their defaults."""
    found: dict[str, object] = {}
    real = argparse.ArgumentParser.add_argument

    def add(parser: argparse.ArgumentParser, *names: str, **settings: Any) -> argparse.Action:
        action = real(parser, *names, **settings)
        found.update(dict.fromkeys(action.option_strings, action.default))
        return action

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "add_argument", add)
        patch.setattr(sys, "argv", ["translate_with_ray.py", "MODEL", "INPUT", "OUTPUT"])
        script.parse()
    return found


def test_every_option_in_the_text_of_the_guide_exists_with_its_default(
    ray_script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.distributed.run import get_args_parser

    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    of_ray = options_of_ray(ray_script, monkeypatch)
    group = typer.main.get_command(app)
    verbs = [group.commands[verb] for verb in ("translate", "train")]  # type: ignore[attr-defined]
    known = {name for verb in verbs for parameter in verb.params for name in parameter.opts}
    known |= {name for action in get_args_parser()._actions for name in action.option_strings}
    for code in re.findall(r"`(--[^`]+)`", text):
        assert code.split()[0] in known | of_ray.keys(), code
    assert int(re.findall(r"for (\d+) seconds \(`--patience`\)", text)[0]) == PATIENCE_SECONDS
    for option in ("--batch-rows", "--part-rows"):
        (stated,) = re.findall(rf"([\d,]+) rows(?: at once)? \(`{option}`\)", text)
        assert int(stated.replace(",", "")) == of_ray[option]
    assert dict(re.findall(r"`(GLOO_SOCKET_IFNAME)=(\w+)`", text)).keys() == {"GLOO_SOCKET_IFNAME"}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"pip install 'pellucid\[(\w+)\]'", text)) <= extras.keys()


def test_comments_of_the_files_show_commands_of_these_files() -> None:
    """``kubectl`` and ``sky`` check nothing without a cluster, so their words are looked at here."""
    shown = {
        path.name: re.findall(r"^#   ((?:kubectl|sky) .*)$", path.read_text(encoding="utf-8"), flags=re.M)
        for path in DEPLOY.glob("translate-*.yaml")
    }
    assert shown["translate-job.yaml"] == ["kubectl apply -f deploy/translate-job.yaml"]
    (launch,) = shown["translate-sky.yaml"]
    assert shlex.split(launch)[:5] == ["sky", "launch", "-c", "pellucid", "deploy/translate-sky.yaml"]
    assert {word for word in shlex.split(launch) if word.startswith("-")} == {"-c", "--env"}


def test_the_job_for_kubernetes_has_fields_of_its_kind() -> None:
    """By the reference of the API batch/v1 (kubernetes.io, "Job"): a wrong name would be dropped or refused."""
    job = yaml.safe_load((DEPLOY / "translate-job.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"], job["metadata"].keys()) == ("batch/v1", "Job", {"name"})
    spec = job["spec"]
    assert spec.keys() <= {
        "activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex", "completionMode", "completions",
        "maxFailedIndexes", "parallelism", "podFailurePolicy", "suspend", "template", "ttlSecondsAfterFinished",
    }  # fmt: skip
    pod = spec["template"]["spec"]
    assert pod.keys() <= {
        "containers", "nodeSelector", "restartPolicy", "securityContext", "terminationGracePeriodSeconds",
        "tolerations", "volumes",
    }  # fmt: skip
    assert (spec["completionMode"], pod["restartPolicy"]) == ("Indexed", "Never"), "backoffLimitPerIndex needs both"
    (container,) = pod["containers"]
    assert container.keys() <= {"name", "image", "args", "command", "env", "resources", "volumeMounts"}
    (volume,) = pod["volumes"]
    (mount,) = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert volume["persistentVolumeClaim"].keys() == {"claimName"}
    files = [word.removeprefix("--output=") for word in container["args"] if "/" in word]
    assert len(files) == 3
    assert all(file.startswith(f"{mount['mountPath']}/") for file in files)
    (threads,) = [word.removeprefix("--threads=") for word in container["args"] if word.startswith("--threads=")]
    assert threads == container["resources"]["requests"]["cpu"]


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
        "tolerations",
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
    shown += [shlex.split(line) for line in re.findall(r"^    ray (.*)$", str(ray_script.__doc__), re.M)]
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


def test_ray_takes_the_cluster_file_and_the_commands() -> None:
    """By what ``ray up`` does first, and by Ray's own parsers."""
    pytest.importorskip("ray", reason="needs the extra ray")
    from ray.autoscaler._private.util import prepare_config, validate_config
    from ray.scripts.scripts import cli

    text = (DEPLOY / "ray-cluster.yaml").read_text(encoding="utf-8")
    cluster = yaml.safe_load(text)
    validate_config(prepare_config(yaml.safe_load(text)))
    said = [*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]]
    said += re.findall(r"^#   (ray .*)$", text, re.M)
    for _, verb, *words in (*map(shlex.split, said), *(["ray", *words] for _, words in commands("ray"))):
        cli.commands[verb].make_context(verb, words)


def test_the_guide_leads_to_every_cluster_file() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    names = ("train.slurm", "translate.slurm", "translate-job.yaml", "translate-sky.yaml", "ray-cluster.yaml")
    for name in (*names, "translate_with_ray.py"):
        assert f"deploy/{name}" in guide
        assert (DEPLOY / name).is_file()
