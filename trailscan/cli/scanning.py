"""`query PATH`: the answer straight from files, with no archive."""

from trailscan.cli.asking import Asking, OutputOptions
from trailscan.cli.terminal import Terminal
from trailscan.query.filters import Filters
from trailscan.render.amounts import count
from trailscan.render.sentences.answers import SearchScope
from trailscan.render.sentences.funnels import of_summaries, scan_funnel


def ask_files(paths: list[str], filters: Filters, shape: OutputOptions, jobs: int | None, quiet: bool) -> int:
    """Answer straight from files; gives the exit code."""
    from trailscan.query.scan import scanned

    terminal = Terminal(quiet)
    with (
        terminal.clean(),
        scanned(paths, filters, jobs, lambda so_far: terminal.progress(f"{count(so_far.done, 'object')} searched")) as scan,
    ):
        loaded, survey = scan.loaded, scan.survey
        named = [*loaded.named, *loaded.named_foreign, *((problem.path, problem.reason) for problem in survey.problems)]
        if loaded.foreign_only or survey.passed_over:
            terminal.say(scan_funnel(scan.objects, loaded, survey))
        damaged = loaded.damaged_objects + len(survey.problems)
        limits = of_summaries(loaded.summaries)
        resting = SearchScope(scan.objects, damaged, limits=limits, named=named, foreign=loaded.foreign_objects)
        return Asking(scan.connection, filters, shape, terminal, str).answer(resting)
