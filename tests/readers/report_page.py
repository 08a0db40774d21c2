"""Opens a report in headless Chromium and prints what it finds, as JSON.

    report_page.py CHROMIUM PAGE SCHEMA FOLDER

Screenshots go to FOLDER: wide and narrow, light and dark, and as printed. The report.json next to the
page is validated against the JSON Schema.
"""

import json
import os
import sys

from jsonschema import Draft202012Validator
from playwright.sync_api import sync_playwright

# Text whose contrast with its background is below 4.5, the minimum of WCAG 2.2 (1.4.3).
CONTRAST = """() => {
  const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const of = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * of(r) + 0.7152 * of(g) + 0.0722 * of(b);
  };
  const backdrop = node => {
    for (; node; node = node.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(node).backgroundColor);
      if (a === 1 && r !== undefined) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim();
    const node = walk.currentNode.parentElement;
    if (!text || !node.getClientRects().length || node.closest('title')) continue;
    const style = getComputedStyle(node);
    const colour = node.closest('svg') ? style.fill : style.color;
    const [a, b] = [light(numbers(colour)), light(backdrop(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)}: ${text.slice(0, 60)}`);
  }
  return bad;
}"""

STRUCTURE = """() => ({
  title: document.title,
  language: document.documentElement.lang,
  scripts: document.scripts.length,
  headings: [...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1])),
  headersWithoutScope: document.querySelectorAll('th:not([scope])').length,
  chartsWithoutWords: document.querySelectorAll('svg:not([aria-label])').length,
  duplicateIds: [...document.querySelectorAll('[id]')].map(e => e.id)
    .filter((id, at, all) => all.indexOf(id) !== at),
  deadLinks: [...document.querySelectorAll('a[href^="#"]')]
    .map(a => decodeURIComponent(a.hash.slice(1))).filter(id => !document.getElementById(id)),
  charts: document.querySelectorAll('svg.chart').length,
  text: document.body.innerText,
})"""

OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"


def main() -> None:
    chromium, page_path, schema, folder = sys.argv[1:5]
    os.makedirs(folder, exist_ok=True)
    requests: list[str] = []
    console: list[str] = []
    found: dict = {"contrast": {}, "overflow": {}}
    with sync_playwright() as playwright:
        # The sandbox of Chromium needs more than a container gives.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
            page.on("request", lambda request: requests.append(request.url))
            page.on("console", lambda message: console.append(message.text))
            page.on("pageerror", lambda error: console.append(str(error)))
            page.goto("file://" + os.path.abspath(page_path))
            page.screenshot(path=os.path.join(folder, f"wide-{scheme}.png"), full_page=True)
            found["contrast"][scheme] = page.evaluate(CONTRAST)
            for width in (1280, 768, 390, 320):
                page.set_viewport_size({"width": width, "height": 800})
                found["overflow"][str(width)] = page.evaluate(OVERFLOW)
            page.set_viewport_size({"width": 390, "height": 844})
            page.screenshot(path=os.path.join(folder, f"narrow-{scheme}.png"), full_page=True)
            if scheme == "light":
                found.update(page.evaluate(STRUCTURE))
                page.emulate_media(media="print")
                page.pdf(path=os.path.join(folder, "printed.pdf"), format="A4")
            page.close()
        browser.close()
    own = "file://" + os.path.abspath(page_path)
    found["requests"] = [url for url in requests if url != own and not url.startswith("data:")]
    found["console"] = console
    with open(schema, encoding="utf-8") as file:
        validator = Draft202012Validator(json.load(file))
    with open(os.path.join(os.path.dirname(page_path), "report.json"), encoding="utf-8") as file:
        report = json.load(file)
    found["schema"] = [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(report)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
