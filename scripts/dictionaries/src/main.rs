//! Compiles MeCab's text sources (lex.csv, matrix.def, char.def, unk.def) to the format that vibrato loads.
//!
//!     compile-japanese <directory of the sources> <file to write>

use std::fs::File;
use std::io::BufWriter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sources, out] = &arguments[..] else { return Err("two arguments: sources, file to write".into()) };
    let source = |name: &str| File::open(format!("{sources}/{name}"));
    let dictionary = vibrato::SystemDictionaryBuilder::from_readers(
        source("lex.csv")?,
        source("matrix.def")?,
        source("char.def")?,
        source("unk.def")?,
    )?;
    dictionary.write(BufWriter::new(File::create(out)?))?;
    Ok(())
}
