//! The fixed parts of zip records, read from bytes. Nothing here judges what it reads.

/// `PK\5\6`: end of central directory (APPNOTE 4.3.16).
pub(super) const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
/// `PK\6\7`: zip64 end of central directory locator (4.3.15).
pub(super) const ZIP64_LOCATOR_SIGNATURE: [u8; 4] = *b"PK\x06\x07";
/// `PK\6\6`: zip64 end of central directory (4.3.14).
pub(super) const ZIP64_END_SIGNATURE: [u8; 4] = *b"PK\x06\x06";
/// `PK\1\2`: one central directory header (4.3.12).
pub(super) const CENTRAL_SIGNATURE: [u8; 4] = *b"PK\x01\x02";
/// `PK\7\8`: a data descriptor, where it has a signature (4.3.9.3).
pub(super) const DESCRIPTOR_SIGNATURE: [u8; 4] = *b"PK\x07\x08";
/// `PK\3\4`: one local file header (4.3.7).
pub(super) const LOCAL_SIGNATURE: [u8; 4] = *b"PK\x03\x04";

/// Extra field with the 64-bit sizes and offset (4.5.3).
pub(super) const EXTRA_ZIP64: u16 = 0x0001;
/// Extra field with a second name for the entry (4.6.9).
pub(super) const EXTRA_UNICODE_PATH: u16 = 0x7075;
/// Extra field in which PKWARE's tools keep times, users and what a link points at (4.5.7).
pub(super) const EXTRA_PKWARE_UNIX: u16 = 0x000d;
/// Extra field with a second mode, and what a link points at (4.6.8).
pub(super) const EXTRA_ASI_UNIX: u16 = 0x756e;

/// Bit 0 of the flags: encrypted; bit 6: strongly so; bit 13: even the directory is masked.
pub(super) const FLAGS_ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Bit 3: the local header has no sizes, a descriptor follows the data.
pub(super) const FLAG_DESCRIPTOR: u16 = 1 << 3;

/// In a 32-bit field: the value stands in the zip64 extra field.
pub(super) const SEE_ZIP64: u32 = u32::MAX;

/// End of central directory, without its comment.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndRecord {
    pub(super) disk: u16,
    pub(super) directory_disk: u16,
    pub(super) entries_here: u16,
    pub(super) entries: u16,
    pub(super) directory_bytes: u32,
    pub(super) directory_start: u32,
    pub(super) comment_bytes: u16,
}

impl EndRecord {
    pub(super) const BYTES: usize = 22;

    pub(super) fn parse(bytes: &[u8]) -> Option<EndRecord> {
        let mut fields = Fields::after(bytes, END_SIGNATURE)?;
        Some(EndRecord {
            disk: fields.u16()?,
            directory_disk: fields.u16()?,
            entries_here: fields.u16()?,
            entries: fields.u16()?,
            directory_bytes: fields.u32()?,
            directory_start: fields.u32()?,
            comment_bytes: fields.u16()?,
        })
    }
}

/// Where the zip64 end record stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zip64Locator {
    pub(super) disk: u32,
    pub(super) end_start: u64,
    pub(super) disks: u32,
}

impl Zip64Locator {
    pub(super) const BYTES: usize = 20;

    pub(super) fn parse(bytes: &[u8]) -> Option<Zip64Locator> {
        let mut fields = Fields::after(bytes, ZIP64_LOCATOR_SIGNATURE)?;
        Some(Zip64Locator {
            disk: fields.u32()?,
            end_start: fields.u64()?,
            disks: fields.u32()?,
        })
    }
}

/// Zip64 end of central directory, version 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zip64End {
    pub(super) record_bytes: u64,
    pub(super) disk: u32,
    pub(super) directory_disk: u32,
    pub(super) entries_here: u64,
    pub(super) entries: u64,
    pub(super) directory_bytes: u64,
    pub(super) directory_start: u64,
}

impl Zip64End {
    pub(super) const BYTES: usize = 56;

    pub(super) fn parse(bytes: &[u8]) -> Option<Zip64End> {
        let mut fields = Fields::after(bytes, ZIP64_END_SIGNATURE)?;
        let record_bytes = fields.u64()?;
        // Version made by, version needed.
        fields.skip(4)?;
        Some(Zip64End {
            record_bytes,
            disk: fields.u32()?,
            directory_disk: fields.u32()?,
            entries_here: fields.u64()?,
            entries: fields.u64()?,
            directory_bytes: fields.u64()?,
            directory_start: fields.u64()?,
        })
    }
}

/// The fixed part of a central directory header.
#[derive(Debug, Clone, Copy)]
pub(super) struct CentralHeader {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) compressed_bytes: u32,
    pub(super) bytes: u32,
    pub(super) name_bytes: u16,
    pub(super) extra_bytes: u16,
    pub(super) comment_bytes: u16,
    pub(super) disk: u16,
    pub(super) external_attributes: u32,
    pub(super) local_start: u32,
}

impl CentralHeader {
    pub(super) const BYTES: usize = 46;

    pub(super) fn parse(bytes: &[u8]) -> Option<CentralHeader> {
        let mut fields = Fields::after(bytes, CENTRAL_SIGNATURE)?;
        // Version made by, version needed.
        fields.skip(4)?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        // Time and date.
        fields.skip(4)?;
        let (crc, compressed_bytes, bytes) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_bytes, extra_bytes) = (fields.u16()?, fields.u16()?);
        let (comment_bytes, disk) = (fields.u16()?, fields.u16()?);
        // Internal attributes.
        fields.skip(2)?;
        Some(CentralHeader {
            flags,
            method,
            crc,
            compressed_bytes,
            bytes,
            name_bytes,
            extra_bytes,
            comment_bytes,
            disk,
            external_attributes: fields.u32()?,
            local_start: fields.u32()?,
        })
    }
}

/// The fixed part of a local file header.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalHeader {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) compressed_bytes: u32,
    pub(super) bytes: u32,
    pub(super) name_bytes: u16,
    pub(super) extra_bytes: u16,
}

impl LocalHeader {
    pub(super) const BYTES: usize = 30;

    pub(super) fn parse(bytes: &[u8]) -> Option<LocalHeader> {
        let mut fields = Fields::after(bytes, LOCAL_SIGNATURE)?;
        // Version needed.
        fields.skip(2)?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        // Time and date.
        fields.skip(4)?;
        Some(LocalHeader {
            flags,
            method,
            crc: fields.u32()?,
            compressed_bytes: fields.u32()?,
            bytes: fields.u32()?,
            name_bytes: fields.u16()?,
            extra_bytes: fields.u16()?,
        })
    }
}

/// Little-endian fields, one after the other; `None` past the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields(bytes)
    }

    fn after(bytes: &'a [u8], signature: [u8; 4]) -> Option<Fields<'a>> {
        bytes.strip_prefix(&signature).map(Fields)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}
