"""A small model and some prompts, to which faults happen."""

import pytest

import tiny
from reproduction.results.origin import code_version
from toy_measure import count_rows, encode


@pytest.fixture(scope="module")
def subject():
    code_version(count_rows)  # looked up once here, and not in every copy of this process
    return tiny.subject("llava")


@pytest.fixture(scope="module")
def prompts(subject):
    return encode(subject)
