"""The playground in a real browser: faults marked while typing, completion, out of the editor by keyboard."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, faults
from tests.test_web_playground import made_settings
from worker.settings import Settings

Pages = Callable[[Settings], str]


def typed(page: Page, old: str, new: str) -> None:
    """Types over a piece of the rules, as somebody does who selects it first."""
    page.get_by_role("textbox", name="Rules as YAML").click()
    page.evaluate(
        """old => {
            const walker = document.createTreeWalker(document.querySelector("#editor .cm-content"), 4)
            for (let node; (node = walker.nextNode());) {
                const at = node.data.indexOf(old)
                if (at >= 0) { getSelection().setBaseAndExtent(node, at, node, at + old.length); return }
            }
            throw new Error(`no ${old}`)
        }""",
        old,
    )
    page.keyboard.insert_text(new)


def test_a_fault_is_marked_at_its_line_while_typing_and_gone_when_it_is_mended(
    tmp_path: Path, pages: Pages, open_page: Open
) -> None:
    page = open_page(pages(made_settings(tmp_path)), "/playground?call=sipsim/call_1")
    result = page.get_by_label("What the rules say")
    expect(result).to_contain_text("found 1900")
    assert faults(page) == []
    typed(page, "duration", "durration")
    expect(result).to_contain_text("did you mean 'duration'")
    expect(page.locator("#editor .cm-lintRange-error")).to_have_text("durration")
    assert faults(page) == []
    typed(page, "durration", "duration")
    expect(result).to_contain_text("1 passed")
    expect(page.locator("#editor .cm-lintRange-error")).to_have_count(0)
    page.get_by_label("Stored call").fill("nobody")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("there is no call 'nobody'")
    page.get_by_label("Name of the test").fill("a long one")
    page.get_by_role("button", name="Save as test").click()
    expect(page.get_by_role("textbox", name="Rules as YAML")).to_contain_text('name: "a long one"')
    expect(result).to_contain_text("2 passed")
    result.get_by_role("button", name="line 4").first.click()
    expect(page.get_by_role("textbox", name="Rules as YAML")).to_be_focused()
    page.once("dialog", lambda dialog: dialog.accept())


def test_the_editor_completes_and_is_left_by_escape_and_tab(
    tmp_path: Path, pages: Pages, open_page: Open
) -> None:
    page = open_page(pages(made_settings(tmp_path)), "/playground")
    page.goto("/playground#line-4")
    page.reload()
    editor = page.get_by_role("textbox", name="Rules as YAML")
    expect(editor).to_be_focused()
    typed(page, "duration", "queu")
    expect(page.get_by_role("listbox")).to_contain_text("queue")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(editor).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(editor).not_to_be_focused()
    page.once("dialog", lambda dialog: dialog.accept())


def test_the_playground_is_readable_in_the_dark_and_on_a_phone(
    tmp_path: Path, pages: Pages, open_page: Open
) -> None:
    screen = {"width": 390, "height": 844}
    page = open_page(
        pages(made_settings(tmp_path)), "/playground?call=sipsim/call_1", color_scheme="dark", viewport=screen
    )
    expect(page.get_by_label("What the rules say")).to_contain_text("found 1900")
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
