"""Cross-validation: several networks, each trained without one part of the cases. Read ``train_folds`` first."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skipseg.models.bundle import Bundle, load_bundle
from skipseg.models.errors import UsageError
from skipseg.models.inference.predictor import Predictor
from skipseg.models.networks.ensemble import build_ensemble, joined
from skipseg.training.datasets.dataset import Dataset
from skipseg.training.datasets.split import Split, draw_folds, split_cases
from skipseg.training.fitting.cache import CaseFiles, cache_cases
from skipseg.training.fitting.fit import Fitted
from skipseg.training.fitting.parallel import Alone
from skipseg.training.fitting.schedule import Budget
from skipseg.training.fitting.tracking import HISTORY, Row, read_rows
from skipseg.training.runs.course import MOST_RESERVE, Clock, Course
from skipseg.training.runs.distil import Distillation
from skipseg.training.runs.fold_wishes import FoldWishes, check_folds, check_size, for_each
from skipseg.training.runs.outcome import Run, write_bundle, write_member
from skipseg.training.runs.progress import Display
from skipseg.training.runs.rehearsal import SHARE, Rehearsal
from skipseg.training.runs.setup import TrainOptions, decide, open_work
from skipseg.training.runs.single import FEW_STEPS, Conditions, Learning, check_learned, fit_one, fresh, steps_budget

MANY = 12  # cases, of which scoring a few tells how long all of them take
MARGIN = 1.1  # more time than a rehearsal says: nobody minds a run that ends a little early
ENOUGH = 0.5  # of its budget that an interrupted network must have used to be worth a place among finished ones
COUNTED = ("step", "seconds", "waited")  # what goes on from one network's history to the next one's
MEMBER, BROKEN_OFF, STUDENT = "member", "broken-off", "student"  # among the files on the way


def train_folds(
    dataset: Dataset, out: Path, options: TrainOptions, team: Alone, display: Display, started: float
) -> Bundle:
    """Train a network per fold and leave them as one ensemble at ``out``, or the one network that they taught.

    The plan is made once from all cases, so that members share their preprocessing and every case is cached once.
    Finished members are kept in ``OUT.training/fold-N`` for a run that is resumed. Ctrl-C leaves a bundle of what there
    is. Raises as ``pipeline.train`` does.
    """
    count = check_folds(options, team)
    split = _split(dataset, options)
    folds = draw_folds(replace(dataset, cases=split.training), count)
    work = open_work(out, options.resume)
    wishes = FoldWishes(
        folds=tuple(tuple(case.name for case in fold.validation) for fold in folds), distil=options.distil
    )
    wishes.keep(work, display)
    setup = decide(dataset, split, for_each(options), team.device, work, display)
    check_size(setup.plan.plan.network, count, options.distil)
    conditions = Conditions(setup, team.device, display, team, options.track, options.instruments)
    cached = _cached(dataset, split, conditions, work)
    course = Course(dataset, split, folds, wishes, conditions, cached, work, Clock(started))
    _check_aim(course)
    _keep_back(course)
    members = _members(course)
    student = _student(course, members) if options.distil and _complete(course, members) else None
    bundle = _written(out, course, members, student, options.name)
    shutil.rmtree(work)
    return bundle


def _split(dataset: Dataset, options: TrainOptions) -> Split:
    """All labelled cases to train on, but for those that are named to be kept out of every fold."""
    if options.validation is not None:
        return split_cases(dataset, options.validation)
    return Split(tuple(case for case in dataset.cases if case.label is not None), ())


def _cached(dataset: Dataset, split: Split, conditions: Conditions, work: Path) -> dict[str, CaseFiles]:
    cases = [*split.training, *split.validation]
    with conditions.display.counting("preprocessing", len(cases)) as done:
        files = cache_cases(dataset, cases, conditions.setup.plan.plan, work / "cache", done)
    return {case.name: file for case, file in zip(cases, files, strict=True)}


def _check_aim(course: Course) -> None:
    """Raise ``UsageError`` when a fold cannot be measured as ``--target-dice`` needs it, before any training."""
    for number, fold in enumerate(course.folds, start=1):
        if course.conditions.setup.target_dice and not any(case.foreground for case in course.files(fold.validation)):
            raise UsageError(
                f"--target-dice is measured on the cases kept out, and none of fold {number} holds a label; ask for "
                "fewer folds, or leave it out"
            )


def _keep_back(course: Course, member: Bundle | None = None) -> None:
    """Leave time for scoring every case once, and those kept out of all folds with the final model.

    A guess at first; with a ``member`` the evaluation is rehearsed, which also tells what the guess was worth.
    """
    split, setup, minutes = course.split, course.conditions.setup, course.conditions.setup.minutes
    if minutes is None:
        return
    answers = 1 if course.wishes.distil else len(course.folds)
    once, apart = (course.validation(cases).reserve() for cases in (split.training, split.validation))
    seconds = once
    if member is not None:
        rehearsal = Rehearsal(
            course.dataset,
            split.training,
            course.files(split.training),
            course.dataset.labels,
            setup.plan.plan,
            course.conditions.device,
            setup.precision,
            course.work / "rehearsal",
        )
        began = course.clock.elapsed()
        seconds = rehearsal.seconds(member.network().state_dict())
        course.clock.rehearsed = course.clock.elapsed() - began
    course.clock.reserve = MARGIN * (seconds + answers * apart * seconds / once)
    if member is None and course.clock.reserve > MOST_RESERVE * 60 * minutes * course.wishes.networks:
        course.conditions.display.say(
            f"evaluating takes about {course.clock.reserve / 60:.1f} minutes; the run will take longer than asked"
        )


def _rehearsed_now(course: Course, finished: int) -> bool:
    """After the first network, and before the last one where that is cheap."""
    minutes, many = course.conditions.setup.minutes, len(course.split.training) >= MANY
    if minutes is None or not many:
        return False
    cheap = course.clock.rehearsed <= SHARE * 60 * minutes * course.wishes.networks
    return finished == 1 or (finished == len(course.folds) - 1 and cheap)


def _members(course: Course) -> list[Bundle]:
    """A network per fold, in order; those of an earlier run are taken as they are, and Ctrl-C ends the list."""
    members, say = list[Bundle](), course.conditions.display.say
    for number, fold in enumerate(course.folds):
        folder, title = course.work / f"fold-{number + 1}", f"fold {number + 1} of {len(course.folds)}"
        if (folder / MEMBER).is_dir():
            say(f"{title}: finished before")
            members.append(load_bundle(folder / MEMBER))
            course.clock.before += 60 * members[-1].manifest.training.minutes
            continue
        say(f"{title}: {len(fold.training)} cases to train on")
        fitted, share = _fitted(course, number, fold, folder)
        if not fitted.interrupted:
            check_learned(fitted, course.conditions.display)
            members.append(write_member(folder / MEMBER, _run(course, fold), fitted))
            if _rehearsed_now(course, number + 1):
                _keep_back(course, members[-1])
            continue
        if not members or (share >= ENOUGH and fitted.steps >= FEW_STEPS):
            check_learned(fitted, course.conditions.display)
            members.append(write_member(folder / BROKEN_OFF, _run(course, fold), fitted))
        say(f"interrupted: the bundle is made of {len(members)} of {len(course.folds)} networks")
        break
    return members


def _complete(course: Course, members: Sequence[Bundle]) -> bool:
    """Whether every fold has its network, and none was broken off: whoever pressed Ctrl-C wants no more training."""
    return len(members) == len(course.folds) and members[-1].folder.name == MEMBER


def _fitted(course: Course, number: int, fold: Split, folder: Path) -> tuple[Fitted, float]:
    """The network of a fold, and the share of its budget that was used."""
    conditions = course.conditions
    learning = Learning(course.files(fold.training), course.validation(fold.validation))
    seconds = course.seconds(course.wishes.networks - number)
    budget = steps_budget(conditions.setup, learning) if seconds is None else Budget(seconds=seconds)
    seed = course.seed(number)
    with course.clock.counting() as used:
        fitted = fit_one(conditions, fresh(conditions, seed), learning, budget, folder, seed)
        used(fitted.seconds)
    return fitted, budget.progress(fitted.steps)


def _student(course: Course, members: Sequence[Bundle]) -> Fitted | None:
    """One network that learns from all cases and from what the members say of them; None when Ctrl-C ended it."""
    conditions, split = course.conditions, course.split
    conditions.display.say(f"distilling: one network learns from the truth of all cases and from {len(members)} others")
    teacher = build_ensemble(members[0].plan.network, len(members))
    teacher.load_state_dict(joined([member.network().state_dict() for member in members]))
    learning = Learning(course.files(split.training), course.validation(split.validation))
    seconds = course.seconds(1)
    budget = steps_budget(conditions.setup, learning) if seconds is None else Budget(seconds=seconds)
    seed = course.seed(len(members))
    teach = Distillation(teacher, conditions.device, conditions.setup.precision)
    with course.clock.counting() as used:
        fitted = fit_one(conditions, fresh(conditions, seed), learning, budget, course.work / STUDENT, seed, teach)
        used(fitted.seconds)
    if fitted.interrupted:
        conditions.display.say("interrupted: the bundle is the ensemble, the network that it taught is not finished")
        return None
    check_learned(fitted, conditions.display)
    return fitted


def _written(out: Path, course: Course, members: Sequence[Bundle], student: Fitted | None, name: str | None) -> Bundle:
    """The bundle: one of the student, of all members together, or of the only one there is after Ctrl-C."""
    together = _together(course, members, student)
    if len(members) == 1:
        alone = course.folds[0]
        kept_out = Split(alone.training, (*course.split.validation, *alone.validation))
        return write_bundle(out, course.work, _run(course, kept_out), together, name, course.conditions.display)
    run = replace(
        _run(course, course.split),
        members=1 if student else len(members),
        folds=() if student else course.wishes.folds[: len(members)],
        distilled_from=len(members) if student else 0,
        unseen=_unseen(course, members),
    )
    return write_bundle(out, course.work, run, together, name, course.conditions.display)


def _unseen(course: Course, members: Sequence[Bundle]) -> dict[str, Predictor]:
    """By case, the one member that has not learned from it."""
    device, precision = str(course.conditions.device), course.conditions.setup.precision
    return {
        case: predictor
        for fold, member in zip(course.wishes.folds, members, strict=False)
        for predictor in [Predictor(member, device, precision)]
        for case in fold
    }


def _together(course: Course, members: Sequence[Bundle], student: Fitted | None) -> Fitted:
    """What was made in all fits: weights of the outcome, one history after the other, steps and seconds of all."""
    records = [member.manifest.training for member in members]
    last = (student.steps, student.seconds) if student else (0, 0.0)
    folders = [*(course.work / f"fold-{number + 1}" for number in range(len(members))), course.work / STUDENT]
    return Fitted(
        weights=student.weights if student else joined([member.network().state_dict() for member in members]),
        history=_one_after_another([read_rows(folder / HISTORY) for folder in folders]),
        steps=sum(record.steps for record in records) + last[0],
        seconds=sum(60 * record.minutes for record in records) + last[1],
        interrupted=not _complete(course, members),
    )


def _one_after_another(histories: Sequence[list[Row]]) -> list[Row]:
    """Rows of several fits as those of one: steps and seconds count on."""
    rows: list[Row] = []
    for history in histories:
        before = rows[-1] if rows else {}
        for row in history:
            counted: Row = {name: (row.get(name) or 0) + (before.get(name) or 0) for name in COUNTED}
            rows.append(row | counted)
    return rows


def _run(course: Course, split: Split) -> Run:
    setup = course.conditions.setup
    return Run(
        course.dataset,
        setup.dataset_sha256,
        split,
        setup.seed,
        setup.precision,
        setup.plan.plan,
        course.conditions.device,
        ranges=setup.plan.ranges,
    )
