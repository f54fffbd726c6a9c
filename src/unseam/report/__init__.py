"""The report: one self-contained HTML page about a model's results on images."""

from unseam.report.page import write_report
from unseam.report.record import Report, ReportImage

__all__ = ["Report", "ReportImage", "write_report"]
