//! What is put into an envelope comes out of it, see `leadlight_functions::fuzzing::envelope`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leadlight_functions::fuzzing::envelope(octets));
