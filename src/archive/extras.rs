//! The extra fields of an entry, in the directory or in its own header: those few that could make
//! it something else than the header says. All others are passed over.
//!
//! Refuses: a second name, the target of a link, a second mode that is no file's.

use super::error::{ArchiveError, shown};
use super::header::{
    EXTRA_ASI_UNIX, EXTRA_PKWARE_UNIX, EXTRA_UNICODE_PATH, EXTRA_ZIP64, Fields, SEE_ZIP64,
};
use super::kinds;

/// Two times, user and group; behind them the target of a link or the number of a device (4.5.7).
const PKWARE_UNIX_FIXED_BYTES: usize = 12;
/// Checksum, mode, size or device, user and group; behind them the target of a link (4.6.8).
const ASI_UNIX_FIXED_BYTES: usize = 14;
/// Where the mode stands in it.
const ASI_UNIX_MODE: std::ops::Range<usize> = 4..6;

/// Judges the fields of the entry `name`, and gives the body of the one with 64-bit sizes.
///
/// # Errors
/// [`ArchiveError::HeaderMismatch`] for an entry with two names, [`ArchiveError::LinkTarget`],
/// those of [`kinds::check`] for a mode, [`ArchiveError::Zip64`] for two such fields.
pub(super) fn read<'a>(extra: &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, ArchiveError> {
    let mut fields = Fields::new(extra);
    let mut zip64 = None;
    while !fields.is_empty() {
        let Some((id, body)) = next(&mut fields) else {
            // Padding that aligns data, as some tools write it, is shorter than a field.
            break;
        };
        match id {
            EXTRA_ZIP64 if zip64.is_some() => {
                return Err(ArchiveError::Zip64 {
                    reason: "an entry has two of them",
                });
            }
            EXTRA_ZIP64 => zip64 = Some(body),
            // Version and checksum of the plain name, then the name.
            EXTRA_UNICODE_PATH if body.get(5..) != Some(name) => {
                return Err(ArchiveError::HeaderMismatch {
                    name: shown(name),
                    what: "name in its extra field",
                });
            }
            EXTRA_PKWARE_UNIX if body.len() > PKWARE_UNIX_FIXED_BYTES => {
                return Err(ArchiveError::LinkTarget { name: shown(name) });
            }
            EXTRA_ASI_UNIX => check_asi_unix(body, name)?,
            _ => {}
        }
    }
    Ok(zip64)
}

/// 32-bit fields and the 64-bit ones that stand, in this order, for those that refer to them
/// (4.5.3); `None` when one is missing.
pub(super) fn resolve<const N: usize>(short: [u32; N], zip64: Option<&[u8]>) -> Option<[u64; N]> {
    let mut fields = Fields::new(zip64.unwrap_or_default());
    let mut long = [0; N];
    for (long, short) in long.iter_mut().zip(short) {
        *long = match short {
            SEE_ZIP64 => fields.u64()?,
            short => short.into(),
        };
    }
    Some(long)
}

fn next<'a>(fields: &mut Fields<'a>) -> Option<(u16, &'a [u8])> {
    let (id, length) = (fields.u16()?, fields.u16()?);
    Some((id, fields.take(length.into())?))
}

/// Programs that know the field take its mode for the entry's.
fn check_asi_unix(body: &[u8], name: &[u8]) -> Result<(), ArchiveError> {
    let mode = body.get(ASI_UNIX_MODE).map_or(0, |mode| {
        mode.iter()
            .rev()
            .fold(0, |mode, &byte| mode << 8 | u32::from(byte))
    });
    kinds::check(&shown(name), mode, name.ends_with(b"/"))?;
    if body.len() > ASI_UNIX_FIXED_BYTES {
        return Err(ArchiveError::LinkTarget { name: shown(name) });
    }
    Ok(())
}
