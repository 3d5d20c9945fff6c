"""Tests of questions: filters, copies, the answer, and what it rests on."""
