"""The style sheet of the score report: one set of names, two sets of colours."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --ink: #1d2126; --soft: #5c6670; --line: #dcdfe3;
  --bar: #3b6fb6; --track: #e8ebef; --heat: 59, 111, 182;
  --right: #d9f0df; --right-ink: #14532d; --wrong: #fbdcd8; --wrong-ink: #8a1c10; --lost: #fdecc4; --lost-ink: #6f4a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1d2125; --ink: #e6e8ea; --soft: #9aa4ae; --line: #343a41;
    --bar: #7aa7e6; --track: #2a3037; --heat: 122, 167, 230;
    --right: #173b26; --right-ink: #a6e3b9; --wrong: #4a1f1b; --wrong-ink: #f6b5ac;
    --lost: #453512; --lost-ink: #f2d58c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 64px; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 36px 0 10px; }
p { margin: 6px 0; }
.soft { color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 6px; }
.tile, .sentence, .card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.tile { flex: 1 1 150px; padding: 12px 16px; }
.tile b { display: block; font-size: 26px; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.25; }
.note { background: var(--lost); color: var(--lost-ink); border-radius: 8px; padding: 10px 14px; margin: 12px 0; }
.note ul { margin: 6px 0 0; padding-left: 20px; }
.card { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; text-align: right; border-top: 1px solid var(--line); white-space: nowrap; }
thead tr:first-child th { border-top: 0; }
th { font-weight: 600; color: var(--soft); font-size: 13px; }
th.text, td.text { text-align: left; }
td.wrap { white-space: normal; overflow-wrap: anywhere; vertical-align: top; line-height: 1.7; }
td.wrap:first-child { white-space: nowrap; }
td.wrap mark { overflow-wrap: normal; }
.number { display: inline-block; min-width: 3.6em; }
.example { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
.example { color: var(--soft); font-size: 13px; line-height: 1.5; min-width: 280px; }
tr.total td { font-weight: 600; }
td.heat { background: rgba(var(--heat), var(--share, 0)); }
.bar { display: inline-block; width: 56px; height: 8px; border-radius: 4px; background: var(--track); }
.bar { margin-right: 10px; vertical-align: 1px; text-align: left; }
.bar i { display: block; height: 100%; border-radius: 4px; background: var(--bar); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 0 20px; }
.sentence { padding: 10px 14px; margin: 10px 0; }
.row { display: flex; gap: 12px; }
.side { flex: 0 0 72px; color: var(--soft); font-size: 13px; padding-top: 4px; }
.words { line-height: 2.05; overflow-wrap: anywhere; }
mark { box-decoration-break: clone; -webkit-box-decoration-break: clone; }
mark { border-radius: 5px; padding: 2px 5px; color: inherit; }
mark small { white-space: nowrap; font-size: 11px; font-weight: 600; margin-left: 5px; opacity: .85; }
mark.right { background: var(--right); color: var(--right-ink); }
mark.wrong { background: var(--wrong); color: var(--wrong-ink); }
mark.lost { background: var(--lost); color: var(--lost-ink); }
.legend mark { margin-right: 10px; }
.where { color: var(--soft); font-size: 12px; overflow-wrap: anywhere; }
@media (max-width: 560px) { .row { display: block; } .side { padding: 0; } }
"""
