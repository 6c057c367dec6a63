"""Tests of the ground floor: values in, values out; no fixture, no clock, no network."""
