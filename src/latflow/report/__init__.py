"""Reports of runs: one self-contained page, its figures, and the table on the terminal."""

from latflow.report.html import write_report
from latflow.report.summary import summary_lines

__all__ = ["summary_lines", "write_report"]
