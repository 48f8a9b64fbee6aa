//! `cargo dev widget --sizes`: what the widget weighs, as it lies on a disk and as it travels.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::files;

/// The best that a server can send: it compresses files that never change once.
const BROTLI_QUALITY: i32 = 11;

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    raw: usize,
    gzip: usize,
    brotli: usize,
}

/// Every file's size, and in the last line what a page in English loads in all and before its first bubble, by brotli.
///
/// # Errors
/// When a file cannot be read.
pub fn sizes(folder: &Path) -> anyhow::Result<String> {
    let mut report = format!("{:>8} {:>8} {:>8}  file\n", "raw", "gzip", "brotli");
    let (mut first, mut later) = (Size::default(), Size::default());
    for below in ["", "texts"] {
        for path in files(&folder.join(below))? {
            let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
            let is_first = ["auto.js", "lead-light.js", "texts/en.json"].contains(&name.as_str());
            let is_later = name.starts_with("popover-");
            if !is_first && !is_later && below.is_empty() {
                continue;
            }
            let content = std::fs::read(&path).with_context(|| format!("read {name}"))?;
            let size = Size::of(&content)?;
            size.line(&mut report, &name)?;
            if is_first {
                first.add(size);
            } else if is_later {
                later.add(size);
            }
        }
    }
    first.line(&mut report, "before the first bubble, in English")?;
    later.line(&mut report, "when the page is idle")?;
    first.add(later);
    first.line(&mut report, "in all")?;
    Ok(report.trim_end().to_owned())
}

impl Size {
    fn of(content: &[u8]) -> anyhow::Result<Self> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(content)?;
        let parameters = BrotliEncoderParams {
            quality: BROTLI_QUALITY,
            size_hint: content.len(),
            ..BrotliEncoderParams::default()
        };
        let mut brotli = Vec::new();
        CompressorWriter::with_params(&mut brotli, 4096, &parameters).write_all(content)?;
        Ok(Self {
            raw: content.len(),
            gzip: gzip.finish()?.len(),
            brotli: brotli.len(),
        })
    }

    fn add(&mut self, other: Self) {
        self.raw += other.raw;
        self.gzip += other.gzip;
        self.brotli += other.brotli;
    }

    fn line(self, report: &mut String, name: &str) -> std::fmt::Result {
        let Self { raw, gzip, brotli } = self;
        writeln!(report, "{raw:>8} {gzip:>8} {brotli:>8}  {name}")
    }
}
