"""Why a request was refused: the causes that a person would look for, each tried by recomputation.

Pure functions: a case in, an explanation out. Families of suspicions live in a file each.
"""

from gateway.diagnosis.case import Case, Court, Finding, Other
from gateway.diagnosis.codes import Code
from gateway.diagnosis.engine import Explanation, explain
from gateway.diagnosis.signed import Signed

__all__ = ["Case", "Code", "Court", "Explanation", "Finding", "Other", "Signed", "explain"]
