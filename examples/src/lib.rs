//! The programs are in `src/bin`; here the README's example is compiled and run.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
