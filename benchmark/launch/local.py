"""The matrix in this process: group after group, every result recorded at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmark import hub
from benchmark.events import Listener
from benchmark.files import file_digest
from benchmark.launch.order import Order, Outcome
from benchmark.matrix.plan import Plan
from benchmark.matrix.run import AnyRun, ImportedRun, Run
from benchmark.records.store import Store
from benchmark.training.ending import Disturbed, Ending, Failed, Finished, Stopped
from benchmark.work.environment import environment
from benchmark.work.fitting import lead
from benchmark.work.place import Place
from benchmark.work.recording import Recorder
from benchmark.work.score import score_weights
from benchmark.work.train import GroupSpec, train_group


class Local:
    """Trains what a plan has to do, one group after the other.

    Args:
        plan: what is to do.
        place: device and folders.
        recorder: writes what comes of it.
        listener: hears of the progress.
        teachers: files of teacher weights by network, with their sha256.
        paths: folders with further recipes.

    Attributes:
        outcomes: of the runs that were to be trained, by identity.
    """

    def __init__(
        self,
        plan: Plan,
        place: Place,
        recorder: Recorder,
        listener: Listener,
        *,
        teachers: Mapping[str, tuple[Path, str]],
        paths: Sequence[Path],
    ) -> None:
        self.plan, self.place, self.recorder, self.listener = plan, place, recorder, listener
        self.teachers, self.paths = teachers, tuple(paths)
        place.recipes_of(self.paths)  # now: what is written while others train changes nothing
        self.order = Order(plan, place.workspace, lead)
        self.outcomes: dict[str, Outcome] = {}

    def run(self) -> None:
        """Train all that is to do; a fault of one run stops only what builds on it."""
        plan = self.plan
        self.listener.matrix_started(len(plan.todo), len(plan.runs) - len(plan.todo))
        self.recorder.remember(plan.runs)
        # What cannot be had is said before anything is trained.
        self.recorder.published = fetch_published(plan.todo, self.place, self.listener)
        for run in {(run.card.name, run.pictures): run for run in plan.todo}.values():
            self.place.data_of(run.card, run.protocol, self.listener)
        for group in self.order.groups():
            late = self.place.time_is_up()
            ready = [run for run in group if self._can_start(run, late=late)]
            for run, ending in self._work(ready):
                self._end(run, ending)
            # What the main process has written, the next group may build on.
            self.place.accelerator.wait_for_everyone()
        self.listener.close()

    def _can_start(self, run: AnyRun, *, late: bool) -> bool:
        """Whether a run can start; if not, note why."""
        obstacle = self.order.obstacle(run, self.outcomes)
        if obstacle is None and late and isinstance(run, Run):
            obstacle = Outcome.unfinished
        if obstacle is None:
            return True
        self.outcomes[run.identity] = obstacle
        said = {
            Outcome.blocked: "not trained: a run it builds on has no result",
            Outcome.unfinished: "not started: the time is up",
        }
        self.listener.run_finished(run.label, said[obstacle])
        return False

    def _work(self, ready: Sequence[AnyRun]) -> Iterator[tuple[AnyRun, Ending]]:
        """How the runs of one group ended; who ran out of memory beside others is tried alone.

        The others' endings come first, so that they are recorded whatever the second try does.
        """
        for brought in (run for run in ready if isinstance(run, ImportedRun)):
            yield brought, score_weights(brought, self.place, self.listener)
        runs = [run for run in ready if isinstance(run, Run)]
        if not runs:
            return
        recorded = self.recorder.weights_of(runs)
        group = GroupSpec.of(runs, teachers=self.teachers, paths=self.paths, recorded=recorded)
        crowded_out = []
        for run, ending in zip(runs, train_group(group, self.place, self.listener), strict=True):
            if len(runs) > 1 and isinstance(ending, Failed) and ending.status == "oom":
                crowded_out.append(run)
            else:
                yield run, ending
        for run in crowded_out:
            yield from self._work([run])

    def _end(self, run: AnyRun, ending: Ending) -> None:
        """Record how a run ended, and say it."""
        if isinstance(ending, Finished | Failed) and self.place.accelerator.is_main_process:
            ending = self.recorder.record(run, ending)
        match ending:
            case Finished(metrics=metrics):
                outcome, said = Outcome.recorded, f"{metrics.top1:.2f} %"
            case Failed(status=status, failure=failure):
                outcome, said = Outcome.failed, f"{status}: {failure.message}"
            case Stopped(epochs=epochs, of=all_epochs, step=step):
                outcome = Outcome.unfinished
                place = f"epoch {epochs} of {all_epochs}" + (f" and {step} steps" if step else "")
                said = f"stopped after {place}; the same command continues"
            case Disturbed(reason=reason):
                outcome, said = Outcome.unfinished, f"not a fault of its own: {reason}"
        self.outcomes[run.identity] = outcome
        self.listener.run_finished(run.label, said)


def recorder_for(place: Place, store: Store) -> Recorder:
    """A recorder for what is trained in this process, as the code is when work begins."""
    return Recorder(store, place.workspace, environment(place.accelerator))


def fetch_published(
    runs: Sequence[AnyRun], place: Place, listener: Listener
) -> dict[str, str | None]:
    """Fetch the published weights that runs start from.

    Returns:
        The sha256 of each file by network; None where timm fetches it from elsewhere.

    Raises:
        NetworkError: they cannot be had.
    """
    digests: dict[str, str | None] = {}
    for network, name in sorted({(run.network, run.spec.starts_from) for run in runs}):
        if not name:
            continue
        from benchmark.networks.published import published_file  # imports timm, which takes seconds

        listener.note(f"published weights of {name}")
        hub.show_bars(listener.shows)
        with place.accelerator.main_process_first():
            file = published_file(network)
        digests[network] = file_digest(file) if file else None
    return digests
