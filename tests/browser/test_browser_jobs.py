"""A job in a real browser: planned, run after being asked, watched, held, and taken back."""

from collections.abc import Callable

from playwright.sync_api import Dialog, expect

from tests.browser.conftest import Open, faults
from tests.retag_desk import working
from tests.worker_bench import Bench
from worker.settings import Settings

Make = Callable[..., Bench]
Pages = Callable[[Settings], str]
RULES = "version: 1\nrules:\n- {id: in, when: {field: direction, eq: inbound}, tag: Inbound}"


def test_a_job_is_planned_watched_run_held_and_undone(
    make_bench: Make, pages: Pages, open_page: Open
) -> None:
    bench = make_bench(rules=RULES)
    record = bench.call(1)
    page = open_page(pages(bench.settings), "/jobs")
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", agree)
    page.get_by_label("Calls since").fill("3d")
    page.get_by_role("button", name="Plan").click()
    expect(page.locator("#progress")).to_contain_text("planning")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#progress")).to_contain_text("paused")
    with working(bench):
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("button", name="Run")).to_be_visible()
        assert faults(page) == []
        page.get_by_role("button", name="Run").click()
        expect(page.locator("#progress")).to_contain_text("1 of 1 done: 1 changed")
        assert asked[0].startswith("Job 1 changes 1 call: 1 tag put on, 0 taken off; ")
        assert bench.tags(record) == ["Inbound"]
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Run").click()
        expect(page.locator("#progress")).to_contain_text("done")
        expect(page.get_by_role("heading", level=1)).to_have_text("Undoing of job 1, job 2")
    assert bench.tags(record) == []
