"""NVIDIA GPUs behind a library with real faults: what is chosen, what is read, and what is told."""

# ruff: noqa: ANN401 - what is loaded by its path has no type

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from batchbandit.energy.nvidia import find_nvidia
from batchbandit.energy.probes import Unavailable
from batchbandit.energy.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def gpu(fake: Any, clock: Any) -> Any:
    return fake.Gpu(clock, "GPU-aa")


@pytest.fixture
def machine(fake: Any, clock: Any, install: Callable[..., Any]) -> list[Any]:
    """Three GPUs: two of one model and one of another."""
    gpus = [fake.Gpu(clock, "GPU-aa"), fake.Gpu(clock, "GPU-ab"), fake.Gpu(clock, "GPU-cc", "Tesla P100")]
    install(*gpus)
    return gpus


def meter_of(clock: Any, *gpus: object) -> Sampler:
    """Return a meter that nobody but the test samples."""
    found = find_nvidia(list(gpus) or None)  # type: ignore[arg-type]
    meter = Sampler(found.probes, on_close=[found.close], clock=clock, threaded=False)
    meter.start()
    return meter


def run(meter: Sampler, clock: Any, seconds: float) -> None:
    """Let time pass as the thread of a meter would see it."""
    end = clock.now + seconds
    while clock.now < end:
        clock.pass_by(min(meter.sample(), end - clock.now))


def chosen(environ: dict[str, str]) -> list[str]:
    return [probe.device.identity for probe in find_nvidia(environ=environ).probes]


def divide(fake: Any, gpu: Any, uuid: str = "MIG-5e") -> None:
    gpu.instances = [
        fake.Instance(f"{uuid}-1", 1, 0, "NVIDIA A100 MIG 3g.20gb"),
        fake.Instance(f"{uuid}-2", 2, 0, "NVIDIA A100 MIG 3g.20gb"),
    ]


def test_the_counter_is_the_figure(gpu: Any, clock: Any, install: Callable[..., Any]) -> None:
    install(gpu)
    meter = meter_of(clock)
    gpu.draw(250)
    clock.pass_by(60)
    energy = meter.read()
    assert energy.joules == pytest.approx(15_000, abs=0.01)
    assert (energy.source, energy.flaw, energy.by_device) == ("nvml-counter", None, {"GPU-aa": energy.joules})


def test_a_start_forgets_what_was_before(gpu: Any, clock: Any, install: Callable[..., Any]) -> None:
    install(gpu)
    meter = meter_of(clock)
    clock.pass_by(60)
    meter.start()
    assert meter.read().joules == 0
    clock.pass_by(1)
    assert meter.read().joules == pytest.approx(100, abs=0.01)


def test_the_devices_say_what_they_are(machine: list[Any]) -> None:
    machine[0].name = b"NVIDIA A100"  # as older bindings return it
    machine[2].has_limits = False
    devices = [probe.device for probe in find_nvidia().probes]
    assert [device.identity for device in devices] == ["GPU-aa", "GPU-ab", "GPU-cc"]
    assert [device.model for device in devices] == ["NVIDIA A100", "NVIDIA A100", "Tesla P100"]
    assert [device.max_power for device in devices] == [400, 400, 0]


def test_power_samples_are_integrated_where_there_is_no_counter(
    gpu: Any, clock: Any, install: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    gpu.has_counter = False
    install(gpu)
    meter = meter_of(clock)
    for watts in (100, 300, 200):
        gpu.draw(watts)
        run(meter, clock, 10)
    energy = meter.read()
    assert energy.joules == pytest.approx(6000, rel=0.01)
    assert (energy.source, energy.flaw) == ("nvml-power", None)
    assert caplog.messages == []


def test_a_gpu_that_tells_nothing_cannot_be_measured(gpu: Any, install: Callable[..., Any]) -> None:
    gpu.has_counter = gpu.has_power = False
    library = install(gpu)
    with pytest.raises(Unavailable, match="neither"):
        find_nvidia()
    assert library.references == 0


def test_the_energies_of_several_gpus_are_added(machine: list[Any], clock: Any) -> None:
    machine[2].has_counter = False
    meter = meter_of(clock)
    run(meter, clock, 10)
    energy = meter.read()
    assert energy.joules == pytest.approx(3000)
    assert energy.source == "nvml-counter+nvml-power"
    assert set(energy.by_device) == {"GPU-aa", "GPU-ab", "GPU-cc"}


def test_a_read_that_fails_now_and_then_loses_nothing(
    gpu: Any, clock: Any, install: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    install(gpu)
    meter = meter_of(clock)
    for _ in range(30):
        gpu.failures = 3
        run(meter, clock, 3)
    energy = meter.read()
    assert energy.joules == pytest.approx(9000, rel=1e-4)
    assert energy.flaw is None
    assert len(caplog.messages) == 1
    assert "could not be read" in caplog.text


def test_power_samples_stand_in_while_the_counter_cannot_be_read(
    gpu: Any, clock: Any, install: Callable[..., Any]
) -> None:
    install(gpu)
    meter = meter_of(clock)
    run(meter, clock, 5)
    gpu.failures = 10**6
    gpu.draw(300)
    run(meter, clock, 20)
    energy = meter.read()
    assert energy.joules == pytest.approx(6500, rel=0.02)
    assert (energy.source, energy.flaw) == ("nvml-counter+nvml-power", None)


def test_a_gpu_lost_mid_run_is_told_once_and_is_a_flaw(
    gpu: Any, clock: Any, install: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    library = install(gpu)
    meter = meter_of(clock)
    run(meter, clock, 10)
    gpu.is_lost = True
    run(meter, clock, 1)
    calls = library.calls
    run(meter, clock, 60)
    energy = meter.read()
    assert energy.joules == pytest.approx(900)  # up to the last reading before
    assert "GPU is lost" in str(energy.flaw)
    assert len(caplog.messages) == 1
    assert library.calls == calls  # a lost GPU is not asked again


def test_a_gpu_that_is_lost_leaves_the_others_measured(machine: list[Any], clock: Any) -> None:
    meter = meter_of(clock)
    machine[0].is_lost = True
    run(meter, clock, 10)
    energy = meter.read()
    assert energy.joules == pytest.approx(2000)
    assert str(energy.flaw).startswith("GPU-aa: ")


@pytest.mark.parametrize("catches_up", [False, True])
def test_a_frozen_counter_is_bridged_and_told(
    gpu: Any, clock: Any, install: Callable[..., Any], caplog: pytest.LogCaptureFixture, catches_up: bool
) -> None:
    install(gpu)
    meter = meter_of(clock)
    run(meter, clock, 10)
    gpu.freeze()
    gpu.draw(300)
    run(meter, clock, 30)
    energy = meter.read()
    assert energy.joules == pytest.approx(10_000, rel=0.02)
    assert (energy.source, energy.flaw) == ("nvml-counter+nvml-power", None)
    gpu.thaw(catches_up=catches_up)
    run(meter, clock, 10)
    assert meter.read().joules == pytest.approx(13_000, rel=0.02)
    assert len(caplog.messages) == 1
    assert "stood still" in caplog.text


def test_a_counter_that_begins_anew_as_its_driver_is_loaded_again_is_bridged(
    gpu: Any, clock: Any, install: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    install(gpu)
    meter = meter_of(clock)
    run(meter, clock, 10)
    gpu.reset()
    run(meter, clock, 10)
    energy = meter.read()
    assert energy.joules == pytest.approx(2000, rel=0.01)
    assert energy.flaw is None
    assert "began anew" in caplog.text


def test_an_idle_counter_that_goes_back_counts_no_joule_twice(
    gpu: Any, clock: Any, install: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    install(gpu)
    meter = meter_of(clock)
    run(meter, clock, 10)
    before = meter.read().joules
    gpu.go_back(0.5)
    assert meter.read().joules == before
    run(meter, clock, 10)
    assert meter.read().joules == pytest.approx(1999.5)
    assert "went back by 0.5 J" in caplog.text


def test_one_impossible_reading_is_asked_for_again(gpu: Any, clock: Any, install: Callable[..., Any]) -> None:
    install(gpu)
    meter = meter_of(clock)
    run(meter, clock, 10)
    gpu.slips = [1e9]
    energy = meter.read()
    assert energy.joules == pytest.approx(1000)
    assert (energy.source, energy.flaw) == ("nvml-counter", None)


def test_a_library_that_others_have_shut_down_is_initialized_again(
    gpu: Any, clock: Any, install: Callable[..., Any]
) -> None:
    library = install(gpu)
    meter = meter_of(clock)
    library.references = 0
    run(meter, clock, 10)
    energy = meter.read()
    assert energy.joules == pytest.approx(1000)
    assert energy.flaw is None


def test_a_meter_lets_go_of_the_library(gpu: Any, clock: Any, install: Callable[..., Any]) -> None:
    library = install(gpu)
    meter = meter_of(clock)
    assert library.references == 1
    clock.pass_by(1)
    before = meter.read()
    meter.close()
    meter.close()
    assert library.references == 0
    assert meter.read() == before


def test_gpus_are_chosen_by_index_and_uuid(machine: list[Any]) -> None:
    assert len(machine) == 3
    found = find_nvidia([2, "GPU-aa", "1"], environ={"CUDA_VISIBLE_DEVICES": "0"})
    assert [probe.device.identity for probe in found.probes] == ["GPU-cc", "GPU-aa", "GPU-ab"]


@pytest.mark.parametrize("name", [3, -1, "GPU-dd", "GPU-a", "cuda:0", True])
def test_a_gpu_that_is_not_there_is_refused(
    machine: list[Any], install: Callable[..., Any], name: Any
) -> None:
    library = install(*machine)
    with pytest.raises(ValueError, match="no such GPU"):
        find_nvidia([name])
    assert library.references == 0


def test_a_gpu_that_is_chosen_twice_counts_once(machine: list[Any]) -> None:
    assert len(machine) == 3
    assert len(find_nvidia([0, "GPU-aa"]).probes) == 1


def test_the_environment_chooses(machine: list[Any]) -> None:
    assert len(machine) == 3
    assert chosen({}) == ["GPU-aa", "GPU-ab", "GPU-cc"]
    assert chosen({"CUDA_VISIBLE_DEVICES": "GPU-cc,GPU-ab"}) == ["GPU-cc", "GPU-ab"]
    assert chosen({"CUDA_VISIBLE_DEVICES": "1,9,0"}) == ["GPU-ab"]
    assert chosen({"CUDA_VISIBLE_DEVICES": ""}) == []


def test_what_another_one_measures_is_left_out(machine: list[Any]) -> None:
    assert len(machine) == 3
    found = find_nvidia(leave_out={"GPU-aa", "GPU-cc"})
    assert [probe.device.identity for probe in found.probes] == ["GPU-ab"]
    assert find_nvidia(["GPU-aa"], leave_out={"GPU-aa"}).is_present


def test_indices_of_different_models_are_warned_of_unless_their_order_is_set(
    machine: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert len(machine) == 3
    assert chosen({"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == ["GPU-aa"]
    assert chosen({"CUDA_VISIBLE_DEVICES": "0,1,2"}) == ["GPU-aa", "GPU-ab", "GPU-cc"]
    assert caplog.messages == []
    for _ in range(2):
        assert chosen({"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}) == ["GPU-aa"]
    assert len(caplog.messages) == 1
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in caplog.text


def test_a_gpu_that_the_process_may_not_use_is_left_out_unless_it_is_named(machine: list[Any]) -> None:
    machine[1].is_forbidden = True
    assert chosen({}) == ["GPU-aa", "GPU-cc"]
    with pytest.raises(Unavailable, match="GPU 1"):
        find_nvidia([1])


def test_two_mig_devices_of_a_gpu_are_measured_once_as_the_whole_and_told(
    fake: Any,
    machine: list[Any],
    clock: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    divide(fake, machine[1])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-5e-1,MIG-GPU-ab/2/0")
    found = find_nvidia()
    assert [probe.device.identity for probe in found.probes] == ["GPU-ab"]
    assert found.probes[0].device.model == "NVIDIA A100 MIG 3g.20gb"
    meter = Sampler(found.probes, clock=clock, threaded=False)
    meter.start()
    clock.pass_by(10)
    energy = meter.read()
    assert energy.joules == pytest.approx(1000)
    assert energy.source == "nvml-counter-shared"
    assert len(caplog.messages) == 1
    assert "other instances" in caplog.text


@pytest.mark.parametrize(
    ("value", "with_new_driver", "with_old_driver"),
    [
        (None, ["GPU-aa", "GPU-ab", "GPU-cc"], ["GPU-ab"]),
        ("0,1", ["GPU-aa", "GPU-ab"], ["GPU-ab"]),
        ("MIG-5e-2,0", ["GPU-ab", "GPU-aa"], ["GPU-ab"]),
        ("0,2", ["GPU-aa", "GPU-cc"], ["GPU-aa", "GPU-cc"]),
    ],
)
def test_a_mig_device_hides_other_gpus_where_the_driver_is_old(
    fake: Any,
    machine: list[Any],
    install: Callable[..., Any],
    value: str | None,
    with_new_driver: list[str],
    with_old_driver: list[str],
) -> None:
    divide(fake, machine[1])
    environ = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    if value is not None:
        environ["CUDA_VISIBLE_DEVICES"] = value
    library = install(*machine)
    assert chosen(environ) == with_new_driver
    library.driver = b"535.129.03"
    assert chosen(environ) == with_old_driver


def test_a_gpu_in_mig_mode_that_is_named_is_measured_as_a_whole(fake: Any, machine: list[Any]) -> None:
    divide(fake, machine[1])
    assert [probe.counter_source for probe in find_nvidia([1]).probes] == ["nvml-counter-shared"]


def test_no_driver_is_no_gpu(fake: Any, install: Callable[..., Any]) -> None:
    for code in (fake.LIBRARY_NOT_FOUND, fake.DRIVER_NOT_LOADED):
        install(init_error=code)
        found = find_nvidia()
        assert (list(found.probes), found.is_present) == ([], False)


def test_a_broken_driver_is_said(fake: Any, install: Callable[..., Any]) -> None:
    install(init_error=fake.VERSION_MISMATCH)
    with pytest.raises(Unavailable, match="version mismatch"):
        find_nvidia()


def test_the_real_bindings_have_what_the_fake_stands_for(fake: Any) -> None:
    import importlib  # noqa: PLC0415
    import sys  # noqa: PLC0415

    sys.modules.pop("pynvml", None)
    real = importlib.import_module("pynvml")
    for name in vars(fake.library([])):
        if name.startswith(("nvml", "NVML")):
            assert hasattr(real, name)
    assert real.NVML_ERROR_GPU_IS_LOST == fake.GPU_IS_LOST
    assert real.NVML_ERROR_LIB_RM_VERSION_MISMATCH == fake.VERSION_MISMATCH
    assert real.NVMLError(real.NVML_ERROR_NOT_SUPPORTED).value == fake.NOT_SUPPORTED


def test_readings_that_fail_are_in_the_debug_log(
    gpu: Any, clock: Any, install: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    install(gpu)
    meter = meter_of(clock)
    gpu.failures = 1
    with caplog.at_level(logging.DEBUG, "batchbandit"):
        meter.read()
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
