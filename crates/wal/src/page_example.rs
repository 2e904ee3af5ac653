//! The examples of the format pages, which tests compare with what the code writes.

/// The bytes of the example with this name on a format page; lines that are left out are zeros.
pub(crate) fn example(page: &str, name: &str, len: usize) -> Vec<u8> {
    let fence = format!("```text {name}\n");
    let start = page.find(&fence).unwrap_or_else(|| panic!("no example {name}")) + fence.len();
    let block = &page[start..start + page[start..].find("```").unwrap()];
    let mut bytes = vec![0; len];
    for line in block.lines() {
        let (offset, row) = line.split_once(' ').unwrap();
        let offset = usize::from_str_radix(offset, 16).unwrap();
        for (at, byte) in row.split_whitespace().enumerate() {
            bytes[offset + at] = u8::from_str_radix(byte, 16).unwrap();
        }
    }
    bytes
}

/// Bytes as a page shows them; rows of zeros are left out.
pub(crate) fn rows(bytes: &[u8]) -> String {
    let row = |(row, bytes): (usize, &[u8])| {
        let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}  {}\n", row * 16, digits.join(" "))
    };
    let written = |(_, row): &(usize, &[u8])| row.iter().any(|byte| *byte != 0);
    bytes.chunks(16).enumerate().filter(written).map(row).collect()
}
