"""The frame of a report: one HTML page, light or dark as the reader's system is, that loads nothing."""

from __future__ import annotations

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root {
  color-scheme: light dark; --ink: #1f2328; --soft: #656d76; --line: #d8dee4; --card: #fff;
  --page: #f6f8fa; --bad: #b42318; --bar: #3b82f633;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3; --soft: #8d96a0; --line: #30363d; --card: #161b22; --page: #0d1117;
    --bad: #ff7b72; --bar: #3b82f655;
  }
}
body {
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto;
  max-width: 1060px; padding: 2rem 1rem 4rem;
}
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.05rem; margin: 0 0 .75rem; }
p { margin: .25rem 0; }
section + p { margin-top: 1rem; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.25rem;
  margin-top: 1rem;
}
.soft { color: var(--soft); }
.bad { color: var(--bad); }
.wide { overflow-x: auto; }
.headline { display: flex; gap: 2.5rem; flex-wrap: wrap; margin-bottom: 1rem; }
.headline span { display: block; }
.headline b { display: block; font-size: 1.8rem; line-height: 1.2; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
th:first-child, td:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
td.bar { background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); }
.swatch { display: inline-block; width: .7em; height: .7em; border-radius: 2px; margin-right: .5em; }
.range { display: block; color: var(--soft); font-size: .78em; line-height: 1.1; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem 2rem; justify-content: space-around; }
.pair > div { flex: 1 1 340px; max-width: 480px; }
td.text, .flags th:last-child { text-align: left; white-space: normal; }
img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
</style>
</head>
<body>
$body
</body>
</html>
""")
