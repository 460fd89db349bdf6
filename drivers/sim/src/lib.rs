#![no_std]
//! A made-up world.
