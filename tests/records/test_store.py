from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.errors import RecordError
from benchmark.records.canonical import canonical_json, digest, identity_of
from benchmark.records.schema import RoleRecord, RunSpec
from benchmark.records.store import Store, Unreadable
from tests.records.made_records import record, spec, taught, world

TEACHER = RoleRecord(identity="a" * 64, network="resnet32x4", recipe="vanilla", top1=79.4)
HEAD = RoleRecord(identity="b" * 64, network="resnet8", recipe="vanilla")


HISTORY = "epoch,top1,images_per_s,loss_ce,seconds\n240,71.23,100,0.3,2.5\n"


@pytest.fixture
def written(store):
    """The path of one record in the store."""
    made = record(71.23)
    store.write(made, HISTORY)
    return store.path_of(made.spec)


def edit(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


class TestPath:
    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({}, "cifar100/resnet8/vanilla/seed0.json"),
            ({"seed": 12}, "cifar100/resnet8/vanilla/seed12.json"),
            (
                {"recipe": "kd", "roles": {"teacher": TEACHER}},
                "cifar100/resnet32x4__resnet8/kd/seed0.json",
            ),
            (
                {"recipe": "sh-teacher", "network": "resnet20", "roles": {"head": HEAD}},
                "cifar100/resnet8__resnet20/sh-teacher/seed0.json",
            ),
            (
                {"recipe": "kd", "roles": {"head": HEAD, "teacher": TEACHER}},
                "cifar100/resnet32x4__resnet8/kd/seed0.json",
            ),
            ({"network": "timm/resnet18.a1"}, "cifar100/timm-resnet18.a1/vanilla/seed0.json"),
            (
                {"changed": {"b": True, "alpha": 4.0, "mode": "soft", "lr": 1e-5}},
                "cifar100/resnet8/vanilla,alpha=4,b=true,lr=1e-05,mode=soft/seed0.json",
            ),
            (
                {"protocol": "quick", "default_protocol": False},
                "cifar100/resnet8/vanilla+quick/seed0.json",
            ),
            (
                {
                    "protocol": "paper[epochs=5,lr=0.1]",
                    "default_protocol": False,
                    "changed": {"alpha": 2},
                },
                "cifar100/resnet8/vanilla,alpha=2+paper,epochs=5,lr=0.1/seed0.json",
            ),
            (
                {"variant": "teacher of 0123456789abcdef"},
                "cifar100/resnet8/vanilla~52eff5cd/seed0.json",
            ),
        ],
    )
    def test_layout(self, changes, path):
        assert Store(Path("results")).path_of(spec(**changes)) == Path("results", path)

    def test_version_and_data_revision_are_not_in_it(self, store):
        newer = spec(recipe_version=2, data_revision="r2")
        assert store.path_of(newer) == store.path_of(spec())

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"alpha": "4"}, {"alpha": 4}),
            ({"alpha": "true"}, {"alpha": True}),
            ({"alpha": "Soft"}, {"alpha": "soft"}),
            ({"alpha": "1,b=2"}, {"alpha": 1, "b": 2}),
            ({"alpha": "x" * 100}, {"alpha": "x" * 101}),
            ({"alpha": [1, 2]}, {"alpha": [1, 3]}),
            ({"alpha": "../.."}, {"alpha": "..-.."}),
        ],
    )
    def test_settings_that_look_alike_are_kept_apart(self, store, one, other):
        paths = [store.path_of(spec(changed=changed)) for changed in (one, other)]
        assert str(paths[0]).lower() != str(paths[1]).lower()

    def test_networks_that_look_alike_are_kept_apart(self, store):
        names = [
            "timm/a",
            "timm-a",
            "timm/timm-a",
            "a",
            "a_",
            "a/b",
            "a-b",
            "a b",
            "a__b",
            "..",
            "n" * 81,
            "n" * 200,
        ]
        places = {store.path_of(spec(network=name)) for name in names}
        assert len(places) == len(names)

    names = st.text("ab_-/.~ A", min_size=1, max_size=6)
    settings = st.dictionaries(
        st.text("ab_", min_size=1, max_size=3),
        st.integers() | st.booleans() | st.none() | st.text("a1.,=+-~[/ ", max_size=40),
        max_size=3,
    )
    parts = st.tuples(
        names, names, settings, names, st.booleans(), st.text("ab", max_size=2), st.integers(0, 99)
    )

    @given(parts, parts)
    def test_different_runs_have_different_safe_places(self, one, other):
        store = Store(Path("results"))
        paths = []
        for student, teacher, changed, protocol, default, variant, seed in (one, other):
            asked = spec(
                network=student,
                recipe="kd",
                roles={"teacher": TEACHER.model_copy(update={"network": teacher})},
                changed=changed,
                protocol="paper" if default else protocol,
                default_protocol=default,
                variant=variant,
                seed=seed,
            )
            paths.append(store.path_of(asked))
        for path in paths:
            assert len(path.parts) == 5
            assert all(re.fullmatch(r"[A-Za-z0-9.=,+~_-]+", part) for part in path.parts)
            assert ".." not in path.parts
            assert max(map(len, path.parts)) < 255
        # Equal up to the name of a protocol that does not count.
        keys = [
            canonical_json([*run[:3], None if run[4] else run[3], *run[4:]]) for run in (one, other)
        ]
        assert (paths[0] == paths[1]) == (keys[0] == keys[1])


class TestIdentity:
    def test_a_setting_is_the_same_as_text_of_the_command_line_and_as_a_default(self):
        assert identity_of(spec(settings={"t": 4})) == identity_of(spec(settings={"t": 4.0}))

    @pytest.mark.parametrize(
        "changes",
        [
            {"dataset": "aircraft"},
            {"data_revision": "r2"},
            {"network": "resnet20"},
            {"recipe": "kd"},
            {"recipe_version": 2},
            {"settings": {"t": 1}},
            {"protocol_values": {"epochs": 1}},
            {"seed": 1},
            {"roles": {"teacher": TEACHER}},
        ],
    )
    def test_what_changes_the_result_changes_it(self, changes):
        assert identity_of(spec(**changes)) != identity_of(spec())

    @pytest.mark.parametrize(
        "changes",
        [
            {"pair": "a:b"},
            {"changed": {"t": 1}},
            {"protocol": "long"},
            {"default_protocol": False},
            {"ranked": False},
            {"variant": "x"},
        ],
    )
    def test_names_do_not(self, changes):
        assert identity_of(spec(**changes)) == identity_of(spec())

    def test_a_role_counts_by_its_identity_alone(self):
        renamed = TEACHER.model_copy(update={"top1": 10.0})
        one, other = spec(roles={"teacher": TEACHER}), spec(roles={"teacher": renamed})
        assert identity_of(one) == identity_of(other)


class TestWriteAndRead:
    def test_what_is_written_is_read(self, store):
        for made in world():
            kept = store.write(made)
            assert kept.spec == made.spec
            assert store.read(store.path_of(made.spec)) == kept == store.find(made.spec)
        assert store.all().problems == ()

    def test_measured_numbers_are_rounded_and_what_was_asked_for_is_not(self, store):
        kept = store.write(record(71.23456789, settings={"alpha": 0.123456789}))
        assert kept.metrics.top1 == 71.2346
        assert kept.spec.settings == {"alpha": 0.123456789}

    def test_the_same_record_gives_the_same_bytes(self, store, written):
        before = written.read_bytes()
        made = store.read(written)
        written.unlink()
        store.write(made, HISTORY)
        assert written.read_bytes() == before
        assert b"\r" not in before
        assert before.endswith(b"}\n")

    def test_keys_are_sorted(self, written):
        keys = list(json.loads(written.read_text()))
        assert keys == sorted(keys)

    def test_the_history_is_beside_it(self, store, written):
        assert written.with_suffix(".csv").read_text() == HISTORY
        store.write(record(70.0, recipe_version=2))
        assert not written.with_suffix(".csv").exists()

    def test_nothing_else_is_left_in_the_folder(self, written):
        assert sorted(path.name for path in written.parent.iterdir()) == ["seed0.csv", "seed0.json"]

    def test_a_wrong_identity_is_not_written(self, store):
        with pytest.raises(RecordError, match="identity"):
            store.write(record(70.0).model_copy(update={"identity": "0" * 64}))
        assert not store.root.exists()

    def test_find_knows_no_stale_record(self, store, written):
        assert store.find(spec(recipe_version=2)) is None
        assert store.find(spec(seed=5)) is None

    def test_a_new_result_takes_the_place_of_a_stale_one(self, store, written):
        store.write(record(None, recipe_version=2))
        assert store.find(spec()) is None
        assert store.read(written).status == "failed"


class TestFailures:
    def test_a_later_success_takes_the_place_of_a_failure(self, store):
        store.write(record(None, status="oom"))
        store.write(record(70.0))
        assert store.find(spec()).status == "ok"

    def test_a_failure_never_takes_the_place_of_a_success(self, store, written):
        before = written.read_bytes()
        kept = store.write(record(None, status="timeout"), "epoch,loss\n")
        assert kept.metrics.top1 == 71.23
        assert written.read_bytes() == before
        assert written.with_suffix(".csv").read_text() == HISTORY

    def test_a_failure_takes_the_place_of_what_cannot_be_read(self, store, written):
        written.write_text("{")
        store.write(record(None, status="oom"))
        assert store.find(spec()).status == "oom"


class TestRefusal:
    @pytest.mark.parametrize(
        "change",
        [
            lambda values: values["metrics"].update(top1=71.0),
            lambda values: values["diagnostics"]["terms"].update(ce=0.0),
            lambda values: values["cost"].update(parameters=1),
            lambda values: values["spec"].update(ranked=False),
            lambda values: values.update(finished="2020"),
            lambda values: values["environment"].update(git_dirty=None),
            lambda values: values.pop("checksum"),
            lambda values: values["metrics"].pop("agreement"),
        ],
    )
    def test_an_edit_by_hand_is_noticed(self, store, written, change):
        edit(written, change)
        with pytest.raises(RecordError, match=r"changed after the run") as error:
            store.read(written)
        assert str(written) in str(error.value)
        assert f"git checkout -- {written}" in str(error.value)

    @pytest.mark.parametrize(
        "change",
        [
            lambda values: values["spec"].update(seed=1),
            lambda values: values["spec"]["settings"].update(alpha=1.0),
            lambda values: values.update(identity="0" * 64),
        ],
    )
    def test_an_edited_specification_is_noticed(self, store, written, change):
        edit(written, change)
        with pytest.raises(RecordError, match="'spec' that was changed"):
            store.read(written)

    def test_another_layout_of_the_same_values_is_no_edit(self, store, written):
        edit(written, lambda values: values["metrics"].update(top5=95))
        assert store.read(written).metrics.top5 == 95.0

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda values: values.update(schema_version=2), "schema version 2"),
            (lambda values: values.pop("schema_version"), "schema version None"),
            (lambda values: values.update(note="x"), "unknown key 'note'. Known: schema_version, "),
            (lambda values: values["spec"].pop("seed"), r"spec › seed: Field required"),
            (lambda values: values.update(status="ok", metrics=None), "must have metrics"),
        ],
    )
    def test_what_does_not_fit_the_schema_is_named(self, store, written, change, message):
        edit(written, change)
        with pytest.raises(RecordError, match=message) as error:
            store.read(written)
        assert str(written) in str(error.value)

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
    def test_a_file_that_was_cut_short(self, store, written, share):
        whole = written.read_text()
        written.write_text(whole[: int(len(whole) * share)])
        with pytest.raises(RecordError, match="is not whole JSON"):
            store.read(written)

    @pytest.mark.parametrize("content", [b"[]", b"\xff\xfe", b"NaN"])
    def test_files_that_are_something_else(self, store, written, content):
        written.write_bytes(content)
        with pytest.raises(RecordError, match=re.escape(str(written))):
            store.read(written)

    def test_all_goes_on_past_what_cannot_be_trusted(self, store, written):
        store.write(record(72.0, seed=1))
        edit(written, lambda values: values["metrics"].update(top1=99.0))
        contents = store.all()
        assert [found.spec.seed for found in contents.records] == [1]
        assert [problem.path for problem in contents.problems] == [written]

    def test_a_copy_in_another_place_does_not_count_twice(self, store, written):
        written.with_name("seed7.json").write_bytes(written.read_bytes())
        contents = store.all()
        assert len(contents.records) == 1
        assert "was moved" in contents.problems[0].message

    def test_hidden_copies_are_not_looked_at(self, store, written):
        hidden = written.parent / ".checkpoints"
        hidden.mkdir()
        (hidden / "seed0.json").write_text("{")
        assert len(store.all().records) == 1
        assert store.all().problems == ()


class TestDisk:
    def test_a_store_without_a_folder_is_empty(self, store):
        assert store.all().records == ()
        assert store.find(spec()) is None

    def test_a_folder_that_cannot_be_made_is_refused_before_training(self, tmp_path):
        (tmp_path / "file").write_text("")
        store = Store(tmp_path / "file")
        with pytest.raises(RecordError, match="--results"):
            store.check_writable()
        with pytest.raises(RecordError, match="--results"):
            store.write(record(70.0))

    def test_check_writable_leaves_nothing(self, store):
        store.check_writable()
        assert list(store.root.iterdir()) == []

    @pytest.mark.parametrize("broken", ["replace", "fsync"])
    def test_a_crash_in_the_middle_leaves_the_old_record(self, store, written, monkeypatch, broken):
        before = written.read_bytes()

        def crash(*arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, broken, crash)
        with pytest.raises(RecordError, match="No space left on device"):
            store.write(record(75.0, recipe_version=2), HISTORY)
        assert written.read_bytes() == before
        assert [path for path in written.parent.iterdir() if "partial" in path.name] == []
        monkeypatch.undo()
        assert store.find(spec()).metrics.top1 == 71.23
        assert store.all().problems == ()

    @pytest.mark.parametrize("step", range(1, 9))
    def test_a_history_never_lies_beside_a_record_that_is_not_its_own(
        self, store, written, monkeypatch, step
    ):
        """Cut off at every step of replacing a record: what is left can be trusted."""
        steps = itertools.count(1)
        for name in ("replace", "fsync"):
            whole = getattr(os, name)

            def cut(*arguments, whole=whole):
                if next(steps) == step:
                    raise KeyboardInterrupt
                return whole(*arguments)

            monkeypatch.setattr(os, name, cut)
        with contextlib.suppress(KeyboardInterrupt):
            store.write(record(75.0, recipe_version=2), HISTORY.replace("71.23", "75"))
        monkeypatch.undo()
        contents = store.all()
        assert contents.problems == ()
        assert [found.metrics.top1 for found in contents.records] in ([71.23], [75.0])


class TestLookup:
    def test_by_cell_and_by_file(self, store, written):
        kept = store.read(written)
        assert store.lookup("cifar100/resnet8/vanilla/seed0") == kept
        assert store.lookup("cifar100/resnet8/vanilla/seed0.json") == kept
        assert store.lookup(str(written)) == kept

    def test_folder_names_may_hold_dots(self, store):
        made = record(70.0, changed={"alpha": 0.5}, settings={"alpha": 0.5})
        store.write(made)
        assert store.lookup("cifar100/resnet8/vanilla,alpha=0.5/seed0").spec == made.spec

    def test_a_wrong_name_gets_the_nearest(self, store, written):
        with pytest.raises(RecordError, match="Did you mean 'cifar100/resnet8/vanilla/seed0'"):
            store.lookup("cifar100/resnet8/vanila/seed0")

    def test_the_teacher_is_found_by_its_students_record(self, store):
        teacher = store.write(record(69.5, network="resnet20"))
        student = store.write(taught(62.0, teacher, recipe="kd"))
        assert student.spec.roles["teacher"].identity == teacher.identity


def seal(path, values):
    """Write a record as one who forges it would: with the identity and the checksum that fit."""
    with contextlib.suppress(ValidationError):
        values["identity"] = identity_of(RunSpec.model_validate(values["spec"]))
    values["checksum"] = digest({k: v for k, v in values.items() if k != "checksum"})
    path.write_text(json.dumps(values))


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda v: v["metrics"].update(top5=70.0), "top5 70.0 is below top1 71.23"),
            (lambda v: v["metrics"].update(nll=-5.0), "metrics › nll"),
            (lambda v: v["metrics"].update(images=0), "metrics › images"),
            (lambda v: v["metrics"].update(top1=72.0), "its history seed0.csv ends with 71.23"),
            (lambda v: v["diagnostics"].update(best_top1=71.0), "best_top1 71.0 is below"),
            (lambda v: v["diagnostics"].update(best_epoch=241), "beyond 240 epochs"),
            (lambda v: v["cost"].update(train_seconds=-1.0), "cost › train_seconds"),
            (lambda v: v["cost"].update(macs=10**19), "cost › macs"),
            (lambda v: v["environment"].update(threads=0), "environment › threads"),
            (lambda v: v["spec"].update(dataset="a\x1b[31m"), "cannot be shown in a line"),
            (lambda v: v["spec"].update(network="a\u202eb"), "cannot be shown in a line"),
            (lambda v: v["spec"].update(recipe="n" * 300), "spec › recipe"),
            (lambda v: v["spec"].update(settings={"a": "x" * 5000}), "more than 2000 characters"),
            (lambda v: v["spec"].update(settings={"a": [0] * 2000}), "more than 1000 values"),
            (lambda v: v.update(recipe_source="this one"), "recipe_source"),
            (lambda v: v.update(error={"kind": "a", "message": "b", "where": "c"}), "no error"),
        ],
    )
    def test_a_forged_record_is_refused(self, store, written, change, message):
        values = json.loads(written.read_text())
        change(values)
        seal(written, values)
        with pytest.raises(RecordError, match=re.escape(message)):
            store.read(written)

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 100_000,
            '{"a":' * 70 + "1" + "}" * 70,
            '{"schema_version": ' + "1" * 5000 + "}",
            '{"schema_version": 1, "cost": {"macs": 1' + "0" * 400 + "}}",
            '{"schema_version": NaN}',
            '{"schema_version": 1, "identity": 1e999}',
            '{"schema_version": 1, "spec": "\\ud800"}',
            " " * 4_000_001,
            '{"schema_version": [' + ",".join(["[]"] * 1000) + "]}",
        ],
    )
    def test_a_hostile_file_is_a_record_that_is_refused(self, store, written, text):
        written.write_text(text)
        with pytest.raises(RecordError) as error:
            store.read(written)
        assert str(written) in str(error.value)
        assert len(str(error.value)) < 4000
        assert isinstance(store.look(spec()), Unreadable)

    def test_a_pipe_is_not_waited_for(self, store, written):
        written.unlink()
        os.mkfifo(written)
        with pytest.raises(RecordError):
            store.read(written)
        assert store.all().records == ()

    def test_a_surrogate_in_a_name_is_refused(self, store, written):
        values = json.loads(written.read_text())
        values["spec"]["dataset"] = "a\ud800"
        written.write_text(json.dumps(values))
        with pytest.raises(RecordError, match="spec › dataset"):
            store.read(written)

    def test_a_long_message_of_a_failure_loses_its_middle(self, store):
        made = record(None)
        long = made.error.model_copy(update={"message": ""}).model_dump() | {
            "message": "begin" + "x" * 5_000_000 + "end"
        }
        kept = store.write(made.model_validate(made.model_dump() | {"error": long}))
        assert len(kept.error.message) < 5000
        assert kept.error.message.startswith("begin")
        assert kept.error.message.endswith("end")


class TestHistory:
    @pytest.mark.parametrize(
        "damage",
        [
            b"",
            b"\xff\xfe\x00",
            HISTORY.encode()[:-5],
            HISTORY.replace("240", "239").encode(),
            HISTORY.replace("71.23", "71.24").encode(),
            b"epoch," * 10_000,
        ],
    )
    def test_a_damaged_history_is_named_and_harmless(self, store, written, damage):
        before = store.read(written)
        written.with_suffix(".csv").write_bytes(damage)
        contents = store.all()
        assert contents.records == (before,)
        assert contents.problems == ()
        assert [fault.path for fault in contents.beside] == [written.with_suffix(".csv")]

    @pytest.mark.parametrize("damage", ["", "240", "239,71.23,100,0.3,2.5", "a,b,c,d,e"])
    def test_of_a_record_without_its_digest_the_last_epoch_is_compared(
        self, store, written, damage
    ):
        edit(written, lambda values: values.pop("history"))
        seal(written, json.loads(written.read_text()))
        history = written.with_suffix(".csv")
        history.write_text(HISTORY.splitlines()[0] + "\n" + damage)
        assert len(store.all().records) == len(store.all().beside) == 1
        history.write_text(HISTORY.replace("71.23", "80"))
        with pytest.raises(RecordError, match=r"its history seed0.csv ends with 80"):
            store.read(written)

    def test_a_history_that_is_gone_is_named(self, store, written):
        written.with_suffix(".csv").unlink()
        assert "there is no history" in store.all().beside[0].message
        assert len(store.all().records) == 1


class TestWritersOfOneRun:
    def test_the_first_stays(self, store, written):
        before = written.read_bytes()
        assert store.write(record(75.0), HISTORY).metrics.top1 == 71.23
        assert store.write(record(75.0), HISTORY, again="0" * 64).metrics.top1 == 71.23
        planned = store.find(spec()).checksum
        assert store.write(record(None), again=planned).metrics.top1 == 71.23
        assert written.read_bytes() == before

    def test_one_is_replaced_on_purpose_alone(self, store, written):
        planned = store.find(spec()).checksum
        assert store.write(record(75.0)).metrics.top1 == 71.23
        assert store.write(record(75.0), again=planned).metrics.top1 == 75.0
        # Who trained it again, too, had the same purpose: the first of them stays.
        assert store.write(record(76.0), again=planned).metrics.top1 == 75.0
        assert store.all().problems == ()

    def test_a_failure_is_replaced(self, store):
        store.write(record(None, status="oom"))
        assert store.write(record(None, status="timeout")).status == "timeout"
        assert store.write(record(70.0)).status == "ok"

    def test_what_cannot_be_trusted_is_moved_aside(self, store, written):
        for bad in ("{", "[]"):
            written.write_text(bad)
            assert isinstance(store.look(spec()), Unreadable)
            assert store.find(spec()) is None
            store.write(record(70.0), HISTORY.replace("71.23", "70"))
            assert store.find(spec()).metrics.top1 == 70.0
        assert written.with_name("seed0.json.damaged").read_text() == "{"
        assert written.with_name("seed0.json.damaged2").read_text() == "[]"
        assert store.all().problems == ()

    def test_a_record_that_was_moved_here_is_not_overwritten(self, store, written):
        place = store.path_of(spec(seed=3))
        place.write_bytes(written.read_bytes())
        assert "was moved" in store.look(spec(seed=3)).message
        store.write(record(70.0, seed=3))
        assert place.with_name("seed3.json.damaged").read_bytes() == written.read_bytes()


class TestLinks:
    def test_a_linked_data_set_is_read_by_all_and_by_find_alike(self, store, written, tmp_path):
        folder = store.root / "cifar100"
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
        assert store.find(spec()).metrics.top1 == 71.23
        assert [found.metrics.top1 for found in store.all().records] == [71.23]

    def test_nothing_is_written_outside(self, store, written, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (store.root / "aircraft").symlink_to(tmp_path / "elsewhere")
        asked = spec(dataset="aircraft")
        with pytest.raises(RecordError, match="is a link to"):
            store.check_writable([asked])
        with pytest.raises(RecordError, match="is a link to"):
            store.write(record(70.0, dataset="aircraft"))
        assert list((tmp_path / "elsewhere").iterdir()) == []
        store.check_writable([spec()])

    def test_links_in_a_circle_and_to_the_same_results_count_nothing_twice(self, store, written):
        (store.root / "again").symlink_to(store.root / "cifar100")
        (store.root / "cifar100" / "up").symlink_to(store.root)
        (store.root / "round").symlink_to(store.root / "round")
        contents = store.all()
        assert len(contents.records) == 1
        assert contents.problems == ()


def test_every_committed_record_is_accepted():
    contents = Store(Path(__file__).resolve().parents[2] / "results").all()
    assert len(contents.records) >= 136
    assert contents.problems == contents.beside == ()
