//! Prints a profile package, a line for each profile element and each file, in a form that other decoders can be
//! compared with: `cargo run -p teuicc-saip --example saip-dump -- package.der`.
//!
//! `pe <name> id=<identification or -> mandated=<0 or 1> len=<bytes with tag and length>`, then for each field of a
//! template element `  file <name> steps=<number> fid=<given identifiers, or -> size=<given sizes, or -> fill=<bytes of
//! content> skip=<bytes of offsets>`.

use std::process::ExitCode;
use teuicc_saip::pe::{Field, TemplateElement};
use teuicc_saip::{FileElement, ProfileElement, next_element};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: saip-dump PACKAGE");
        return ExitCode::from(2);
    };
    match std::fs::read(&path).map_err(|error| error.to_string()).and_then(|package| dump(&package)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dump(package: &[u8]) -> Result<(), String> {
    let mut rest = package;
    while !rest.is_empty() {
        let place = package.len() - rest.len();
        let element = next_element(rest).map_err(|error| format!("element at byte {place}: {error}"))?;
        let element = element.ok_or_else(|| format!("element at byte {place}: cut off"))?;
        let identification = element.identification().map_or("-".to_owned(), |id| id.to_string());
        let mandated = u8::from(element.header.is_some_and(|header| header.mandated));
        println!("pe {} id={identification} mandated={mandated} len={}", element.kind.name(), element.raw.len());
        if let Some(unknown) = element.unknown {
            println!("  unknown member {} at byte {}", unknown.tag, unknown.offset);
        }
        if let ProfileElement::Template(template) = &element.content {
            println!("  template {}", template.oid);
            template.fields().for_each(|field| println!("{}", line(template, &field)));
        }
        rest = &rest[element.raw.len()..];
    }
    Ok(())
}

fn line(element: &TemplateElement<'_>, field: &Field<'_>) -> String {
    let name = element.template.and_then(|template| template.files.get(field.index)).map_or("?", |file| file.name);
    let (mut fids, mut sizes, mut fill, mut skip) = (Vec::new(), Vec::new(), 0, 0);
    for step in field.file.elements.iter() {
        match step {
            FileElement::Descriptor(fcp) => {
                fids.push(fcp.file_id.map_or("-".to_owned(), |fid| format!("{fid:04X}")));
                sizes.push(fcp.file_size.map_or("-".to_owned(), |size| size.to_string()));
            }
            FileElement::FillOffset(bytes) => skip += bytes,
            FileElement::FillContent(bytes) => fill += bytes.len(),
            FileElement::DoNotCreate => {}
        }
    }
    let joined = |list: Vec<String>| if list.is_empty() { "-".to_owned() } else { list.join(",") };
    let steps = field.file.elements.count();
    format!("  file {name} steps={steps} fid={} size={} fill={fill} skip={skip}", joined(fids), joined(sizes))
}
