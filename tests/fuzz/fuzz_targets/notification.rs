//! A notification says nothing of anybody whom it does not name, see `leadlight_functions::fuzzing::notification`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leadlight_functions::fuzzing::notification(octets));
