"""The one exception of this package that a person is meant to read."""


class Refusal(Exception):
    """A start or stop that cannot be done, in words: what is wrong, and the remedy to copy.

    The command line prints it without a traceback and ends with `exit_code`.
    """

    def __init__(self, problem: str, remedy: str = "", *, exit_code: int = 1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.problem}\n  Remedy: {self.remedy}" if self.remedy else self.problem
