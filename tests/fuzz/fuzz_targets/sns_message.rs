//! A signature is good for one message, see `leadlight_functions::fuzzing::sns_message`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leadlight_functions::fuzzing::sns_message(octets));
