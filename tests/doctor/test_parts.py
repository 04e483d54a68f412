"""What single parts of the look say of surroundings that are made for them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from benchmark.doctor import device, folders, hub, installation
from benchmark.doctor.findings import Finding, Level, Surroundings

NOWHERE = Surroundings(Path("runs"), Path("results"), Path("cache"))


def faults(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.level is not Level.ok]


def installed(folder: Path, name: str, version: str, *, brings: str = "", wants: str = "") -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(text + (f"Requires-Dist: {wants}\n" if wants else ""))
    (info / "top_level.txt").write_text(f"{brings}\n")


def test_this_installation_fits() -> None:
    for check in (installation.required, installation.twice, installation.imports):
        assert [f for f in faults(list(check(NOWHERE))) if f.level is not Level.note] == []


def test_two_packages_of_one_module_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "opencv-python", "4.9.0", brings="cv2")
    monkeypatch.syspath_prepend(str(tmp_path))
    [found] = [f for f in installation.twice(NOWHERE) if "cv2" in f.what]
    assert found.what.startswith("opencv-python and opencv-python-headless")
    assert "pip uninstall" in found.remedy


def test_a_second_version_and_a_torchvision_of_another_torch_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "torchvision", "0.26.0", brings="torchvision", wants="torch==2.11.0")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = faults(list(installation.required(NOWHERE)))
    torch = metadata.version("torch")
    assert f"torchvision wants torch==2.11.0, and {torch} is installed" in found[-1].where
    assert "torch with torchvision" in found[-1].remedy
    [twice] = [f for f in installation.twice(NOWHERE) if f.what.startswith("torchvision")]
    assert str(tmp_path) in twice.where


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("torch>=2", None),
        ("torch<1", "torch<1, and "),
        ("no-such-package>=2", "no-such-package>=2, which is not installed"),
        ("no-such-package; python_version < '3'", None),
    ],
)
def test_a_requirement_is_compared_with_what_is_installed(text: str, fault: str | None) -> None:
    said = installation._fault(Requirement(text))
    assert said == fault or (fault is not None and said is not None and said.startswith(fault))


def test_an_installed_wheel_is_compared_with_what_it_says_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installation, "_project", lambda: None)
    wanted = installation._requirements()
    assert {"torch", "torchvision", "timm"} <= {one.name for one in wanted[""]}
    assert "pytest" in {one.name for one in wanted["dev"]}
    assert [f.level for f in installation.required(NOWHERE)] == [Level.ok]
    assert list(installation.tested(NOWHERE)) == []


def test_an_extra_that_is_not_whole_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {
        "": [],
        "far": [Requirement("numpy"), Requirement("no-such-package")],
        "away": [Requirement("no-such-package")],
    }
    monkeypatch.setattr(installation, "_requirements", lambda: wanted)
    found = list(installation.extras(NOWHERE))
    assert [f.level for f in found] == [Level.warning, Level.ok]
    assert found[0].remedy == "Install it: pip install 'kdbench[far]'."
    assert found[1].what == "with far"


def nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, *rows: str) -> None:
    """A driver's program that says this."""
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{row}'\n" for row in rows))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_a_gpu_that_torch_cannot_use_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvidia_smi(tmp_path, monkeypatch, "NVIDIA A1, 470.1, 40000, 1000", "NVIDIA A2, 470.1, [N/A], 0")
    [found] = device.gpus(NOWHERE)
    assert found.is_fault
    assert found.where == (
        "NVIDIA A1, driver 470.1, 39,000 of 40,000 MB free",
        "NVIDIA A2, driver 470.1",
    )
    assert "newer driver" in found.remedy
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    [found] = device.gpus(NOWHERE)
    assert "unset it" in found.remedy


def test_a_gpu_without_code_for_it_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, answer in (
        ("is_available", True),
        ("device_count", 1),
        ("get_device_name", "NVIDIA B3"),
        ("get_arch_list", ["sm_80"]),
        ("get_device_capability", (7, 5)),
    ):
        monkeypatch.setattr(f"torch.cuda.{name}", lambda *_, answer=answer: answer)
    nvidia_smi(tmp_path, monkeypatch, "NVIDIA B3, 600.1, 40000, 1000")
    fine, found = device.gpus(NOWHERE)
    assert fine.what.startswith("1 GPU with CUDA")
    assert "no code for NVIDIA B3 (sm_75)" in found.what


def test_the_limits_of_a_container_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.cpu_quota(tmp_path) is None
    assert device.memory_limit(tmp_path) is None
    monkeypatch.setattr(device, "_groups", lambda root, _: [root / "inner", root])
    (tmp_path / "inner").mkdir()
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "inner" / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("900000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 500000000\n")
    assert device.cpu_quota(tmp_path) == 1.5
    assert device.memory_limit(tmp_path) == (1_000_000_000, 400_000_000)


def test_the_limits_of_older_systems_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_groups", lambda root, _: [root])
    (tmp_path / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert device.cpu_quota(tmp_path) is None
    (tmp_path / "cpu.cfs_quota_us").write_text("200000\n")
    assert device.cpu_quota(tmp_path) == 2.0


def test_fewer_cores_than_threads_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cpu_quota", lambda: 0.25)
    [found] = faults(list(device.processor(NOWHERE)))
    assert "--threads 1" in found.remedy


def test_a_low_limit_of_open_files_is_a_warning() -> None:
    program = (
        "import resource; from pathlib import Path; from benchmark.doctor import device\n"
        "from benchmark.doctor.findings import Surroundings\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))\n"
        "here = Path()\n"
        "print([f.what for f in device.limits(Surroundings(here, here, here))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert "a process may open only 200 files" in done.stdout


@pytest.mark.parametrize(
    ("built", "major", "minor", "runs"),
    [
        (["sm_80", "sm_90"], 8, 6, True),
        (["sm_80", "sm_90"], 7, 5, False),
        (["sm_86"], 8, 0, False),
        (["sm_80", "compute_90"], 12, 0, True),
        (["sm_90a"], 9, 0, True),
        ([], 9, 0, True),
    ],
)
def test_code_runs_on_gpus_of_its_kind(
    built: list[str], major: int, minor: int, runs: bool
) -> None:
    assert device._computes(built, major, minor) is runs


def test_a_file_system_is_tried_and_nothing_left(tmp_path: Path) -> None:
    found = folders.manners(tmp_path)
    assert found.replaces
    assert found.links
    assert not found.folds_case
    assert abs(found.skew_s) < folders.SKEW_S
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "has", "level", "word"),
    [
        ("runs", folders.Manners(False, True, False, 0.0), Level.fault, "replace"),
        ("runs", folders.Manners(True, False, False, 0.0), Level.note, "hard links"),
        ("results", folders.Manners(True, True, True, 0.0), Level.warning, "lower case"),
        ("cache", folders.Manners(True, True, False, 90.0), Level.warning, "90 s ahead of"),
        ("cache", folders.Manners(True, True, False, -90.0), Level.warning, "90 s behind"),
    ],
)
def test_ill_manners_are_told(name: str, has: folders.Manners, level: Level, word: str) -> None:
    [found] = folders._ill_mannered(name, Path("there"), has, "--runs")
    assert (found.level, word in found.what) == (level, True)
    assert found.remedy


def test_little_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**12, 10**12, 5 * 10**7))
    levels = {f.level for f in folders._looked_at("runs", tmp_path, "--runs")}
    assert levels == {Level.ok, Level.fault}


def test_a_folder_of_data_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    around = Surroundings(tmp_path, tmp_path, tmp_path, data_dir=tmp_path / "nowhere")
    [found] = folders.data(around)
    assert found.is_fault
    assert "KDBENCH_DATA" in found.remedy


def test_flags_that_forbid_connections_are_told(
    monkeypatch: pytest.MonkeyPatch, hub_folder: Path
) -> None:
    assert list(hub.flags(NOWHERE)) == []
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    [found] = hub.flags(NOWHERE)
    assert "HF_HUB_OFFLINE=1" in found.where


def test_a_broken_cache_of_the_hub_is_told(hub_folder: Path) -> None:
    (hub_folder / "models--forest--birds").mkdir(parents=True)
    (hub_folder / "models--forest--ants" / "blobs").mkdir(parents=True)
    (hub_folder / "models--forest--ants" / "blobs" / "abc.incomplete").write_text("half")
    found = faults(list(hub.cache(NOWHERE)))
    assert [f.level for f in found] == [Level.warning, Level.note]


@pytest.mark.slow
def test_nobody_is_asked_unless_a_connection_is_wanted(tmp_path: Path) -> None:
    program = (
        "import socket, sys\n"
        "from pathlib import Path\n"
        "asked = []\n"
        "def hook(event, arguments):\n"
        "    if event in ('socket.getaddrinfo', 'socket.gethostbyname') or (\n"
        "        event == 'socket.connect' and arguments[0].family != socket.AF_UNIX):\n"
        "        asked.append(arguments)\n"
        "sys.addaudithook(hook)\n"
        "from benchmark.doctor.examination import examine\n"
        "from benchmark.doctor.findings import Surroundings\n"
        "cache = Path(sys.argv[1])\n"
        "examine(Surroundings(Path('runs'), Path('results'), cache))\n"
        "print(len(asked))\n"
        "asking = Surroundings(Path('runs'), Path('results'), cache, network=True)\n"
        "found = examine(asking, ['hub'])\n"
        "print(len(asked), [one.what for one in found])\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", program, os.environ["KDBENCH_CACHE"]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    before, after = done.stdout.splitlines()
    assert before == "0"
    assert not after.startswith("0 ")
    assert "the hub cannot be asked: it does not answer" in after
