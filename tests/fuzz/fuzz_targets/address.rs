//! An address reads as it is shown, see `leadlight_functions::fuzzing::address`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leadlight_functions::fuzzing::address(octets));
