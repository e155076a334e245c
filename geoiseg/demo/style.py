"""The style sheet of the report."""

from __future__ import annotations

CSS = """\
:root {
  --paper: #fbfaf7; --card: #ffffff; --ink: #1d2327; --soft: #5d676e; --line: #e2e0d8;
  --accent: #1d6f5c; --s0: #4c86b8; --s1: #1d6f5c; --s2: #e0a030; --s3: #b0586c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181a; --card: #1c2225; --ink: #e9e7e1; --soft: #9ba6ab; --line: #313a3e;
    --accent: #6fd0b4; --s0: #6ea8da; --s1: #4fb598; --s2: #e8b558; --s3: #d3839a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 44px 28px 56px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0; letter-spacing: -0.015em; }
h2 { font-size: 18px; margin: 44px 0 14px; letter-spacing: -0.005em; }
h3 { font-size: 14px; margin: 0 0 8px; }
.lead { font-size: 17px; margin: 8px 0 0; max-width: 70ch; }
.source { color: var(--soft); margin: 10px 0 24px; }
.source span {
  margin-left: 12px; padding: 2px 10px; border: 1px solid var(--line); border-radius: 99px;
  color: var(--accent); white-space: nowrap;
}
figure { margin: 0; }
figure img {
  display: block; max-width: 100%; max-height: 940px; width: auto; height: auto;
  margin: 0 auto; border-radius: 10px; box-shadow: 0 1px 3px rgb(0 0 0 / 0.25);
}
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 22px 0 0; }
.facts div {
  flex: 1 1 120px; justify-content: flex-end;
  background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; padding: 12px 16px; display: flex; flex-direction: column-reverse;
}
.facts dt { color: var(--soft); font-size: 13px; }
.facts dd { margin: 0; font-size: 23px; font-weight: 650; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 14px; }
th, td { padding: 9px 12px; text-align: left; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 500; font-size: 13px; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; }
td:nth-child(3) { white-space: normal; min-width: 9em; }
.n { text-align: right; }
td:last-child { font-weight: 600; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 9px;
  box-shadow: 0 0 0 1px rgb(0 0 0 / 0.25); }
.key { margin: 0 0 12px; color: var(--soft); font-size: 13px; }
.key span { margin-right: 18px; white-space: nowrap; }
.key i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px; }
.bar { display: grid; grid-template-columns: minmax(90px, 130px) 1fr 70px; gap: 14px;
  align-items: center; margin: 5px 0; font-size: 14px; }
.bar > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bar > div { display: flex; height: 14px; border-radius: 4px; background: var(--line);
  overflow: hidden; }
.bar b { text-align: right; font-weight: 600; font-variant-numeric: tabular-nums; }
.s0 { background: var(--s0); } .s1 { background: var(--s1); }
.s2 { background: var(--s2); } .s3 { background: var(--s3); }
a { color: var(--accent); }
.files { list-style: none; margin: 0; padding: 0; columns: 2; column-gap: 44px; }
.files li { display: flex; justify-content: space-between; gap: 16px; padding: 7px 0;
  border-bottom: 1px solid var(--line); break-inside: avoid; overflow-wrap: anywhere; }
.files span { color: var(--soft); white-space: nowrap; }
.next { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 18px; }
.next div { min-width: 0; }
pre { margin: 0; padding: 14px 16px; overflow-x: auto; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; white-space: pre-wrap; }
code { font: 13px/1.55 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
footer { margin-top: 44px; border-top: 1px solid var(--line); padding-top: 16px; }
.machine { display: flex; flex-wrap: wrap; gap: 6px 26px; margin: 0; font-size: 13px; }
.machine div { display: flex; gap: 7px; }
.machine dt { color: var(--soft); }
.machine dd { margin: 0; }
@media (max-width: 640px) {
  main { padding: 28px 16px 40px; }
  .files { columns: 1; }
  .source span { display: inline-block; margin: 6px 0 0; }
}
@media print {
  :root {
    color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc;
    --accent: #000;
  }
  @page { size: A4; margin: 14mm; }
  main { max-width: none; padding: 0; }
  body { font-size: 11px; }
  figure img { max-height: 150mm; box-shadow: none; }
  h2 { margin: 18px 0 8px; break-after: avoid; }
  table { font-size: 9px; }
  th, td { padding: 4px 5px; }
  tr, .bar, pre, .facts div { break-inside: avoid; }
  .facts div { flex-basis: 90px; padding: 8px 10px; }
  .facts dd { font-size: 15px; }
  .facts dt { font-size: 10px; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
