//! A body is read whole, or refused by the field, see `leadlight_functions::fuzzing::body`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leadlight_functions::fuzzing::body(octets));
