"""The page of `leanfleet prove --tree`: one self-contained HTML file that shows a search graph.

rows.py     a search graph as plain rows, each state with the one place where the page shows it
page.py     rows and facts filled into the template: one text, everything escaped
summary.py  the facts of one attempt: verdict, script, statistics, configuration
files.py    where pages go: unfit paths are found before a search starts; written whole or not at all
page.html page.css  the template; it loads nothing, and its policy forbids it to
graph.js rows.js ways.js details.js find.js page.js  its script, in the order of page.SCRIPTS
"""
