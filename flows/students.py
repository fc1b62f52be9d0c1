"""Students that a recipe names: found, checked against its judge, and named in the manifest."""

from collections.abc import Sequence
from pathlib import Path

from filters.judges.base import Judge
from filters.judges.prompt import load_prompt
from filters.student import Student
from flows.copying import Copying, check_criterion
from manifests.manifest import StudentFacts
from manifests.recipe import Recipe
from shards.errors import RecipeError


def students_of(recipe: Recipe, folder: Path, judge: Judge | None) -> tuple[Student, ...]:
    """The students of a recipe, by criterion.

    One that copies another judge, or the answers to other prompts, is refused: its interval says where the grades of
    that judge lie, and nothing about those of another one.

    Args:
        recipe: as written.
        folder: what its relative paths start from.
        judge: that the recipe names.

    Raises:
        UsageError: a file that is no student, of another criterion, judge or prompt.
    """
    if isinstance(recipe.judge, str) or judge is None:
        return ()
    found = []
    for criterion, path in sorted(recipe.judge.students.items()):
        check_criterion(criterion)
        student = Student.of(folder / path)
        _check(student, criterion, path, judge)
        found.append(student)
    return tuple(found)


def _check(student: Student, criterion: str, path: str, judge: Judge) -> None:
    head = student.head
    if head.criterion != criterion:
        raise RecipeError(f"student `{path}` guesses `{head.criterion}`, the recipe names it for `{criterion}`")
    if head.judge != judge.judge_id:
        raise RecipeError(
            f"student `{path}` copies judge `{head.judge}`, the recipe's is `{judge.judge_id}`; distil it again from a "
            "mixture of this judge, or take it out"
        )
    for name, sha256 in head.prompts.items():
        if load_prompt(name).sha256 != sha256:
            raise RecipeError(f"student `{path}` copies answers to another text of prompt `{name}`; distil it again")


def student_facts(students: Sequence[Student]) -> dict[str, StudentFacts]:
    """What the manifest says of students, by criterion."""
    found = {}
    for student in students:
        report = Copying.model_validate(student.head.report)
        found[student.criterion] = StudentFacts(
            sha256=student.sha256,
            judge=report.judge,
            learnt=report.learnt,
            held_out=report.figures.rows,
            spearman=report.figures.spearman,
            auc=report.figures.auc,
            agreement=report.figures.agreement,
            agreement_of_constant=report.agreement_of_constant,
            half_width=report.half_width,
            coverage=report.coverage,
            coverage_below=report.coverage_below,
        )
    return found
