//! Abbreviations of time zones, as PostgreSQL's default set has them.
//!
//! An abbreviation stands for a fixed offset, or, where its meaning has changed over the years (`MSK`), for what the zone
//! that it belongs to used it for at the time in question.
//!
//! # Sources
//! PostgreSQL 15 manual, appendix B.4.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// Changes of a zone that are looked at in search of an abbreviation, to either side of a time.
const TRANSITIONS_MAX: usize = 400;

/// What an abbreviation stands for.
#[derive(Clone, Copy, Debug)]
pub enum Meaning {
    /// Seconds east of UTC, and whether that is daylight saving time.
    Offset(i32, bool),
    /// What the zone of that name uses it for.
    Zone(&'static str),
}

/// An abbreviation in small letters and its meaning.
type Abbreviation = (&'static str, Meaning);

const fn standard(name: &'static str, seconds: i32) -> Abbreviation {
    (name, Meaning::Offset(seconds, false))
}

const fn daylight(name: &'static str, seconds: i32) -> Abbreviation {
    (name, Meaning::Offset(seconds, true))
}

const fn zone(name: &'static str, zone: &'static str) -> Abbreviation {
    (name, Meaning::Zone(zone))
}

/// All abbreviations, in order.
pub const ABBREVIATIONS: &[Abbreviation] = &[
    daylight("acdt", 37_800),
    daylight("acsst", 37_800),
    standard("acst", 34_200),
    standard("act", -18_000),
    standard("acwst", 31_500),
    daylight("adt", -10_800),
    daylight("aedt", 39_600),
    daylight("aesst", 39_600),
    standard("aest", 36_000),
    standard("aft", 16_200),
    daylight("akdt", -28_800),
    standard("akst", -32_400),
    daylight("almst", 25_200),
    standard("almt", 21_600),
    zone("amst", "Asia/Yerevan"),
    standard("amt", -14_400),
    zone("anast", "Asia/Anadyr"),
    zone("anat", "Asia/Anadyr"),
    zone("arst", "America/Argentina/Buenos_Aires"),
    zone("art", "America/Argentina/Buenos_Aires"),
    standard("ast", -14_400),
    daylight("awsst", 32_400),
    standard("awst", 28_800),
    daylight("azost", 0),
    standard("azot", -3600),
    zone("azst", "Asia/Baku"),
    zone("azt", "Asia/Baku"),
    daylight("bdst", 7200),
    standard("bdt", 21_600),
    standard("bnt", 28_800),
    standard("bort", 28_800),
    standard("bot", -14_400),
    standard("bra", -10_800),
    daylight("brst", -7200),
    standard("brt", -10_800),
    daylight("bst", 3600),
    standard("btt", 21_600),
    daylight("cadt", 37_800),
    standard("cast", 34_200),
    standard("cct", 28_800),
    daylight("cdt", -18_000),
    daylight("cest", 7200),
    standard("cet", 3600),
    daylight("cetdst", 7200),
    daylight("chadt", 49_500),
    standard("chast", 45_900),
    standard("chut", 36_000),
    zone("ckt", "Pacific/Rarotonga"),
    daylight("clst", -10_800),
    zone("clt", "America/Santiago"),
    standard("cot", -18_000),
    standard("cst", -21_600),
    standard("cxt", 25_200),
    zone("davt", "Antarctica/Davis"),
    standard("ddut", 36_000),
    zone("easst", "Pacific/Easter"),
    zone("east", "Pacific/Easter"),
    standard("eat", 10_800),
    daylight("edt", -14_400),
    daylight("eest", 10_800),
    standard("eet", 7200),
    daylight("eetdst", 10_800),
    daylight("egst", 0),
    standard("egt", -3600),
    standard("est", -18_000),
    standard("fet", 10_800),
    daylight("fjst", 46_800),
    standard("fjt", 43_200),
    zone("fkst", "Atlantic/Stanley"),
    zone("fkt", "Atlantic/Stanley"),
    daylight("fnst", -3600),
    standard("fnt", -7200),
    standard("galt", -21_600),
    standard("gamt", -32_400),
    zone("gest", "Asia/Tbilisi"),
    zone("get", "Asia/Tbilisi"),
    standard("gft", -10_800),
    standard("gilt", 43_200),
    standard("gmt", 0),
    zone("gyt", "America/Guyana"),
    standard("hkt", 28_800),
    standard("hst", -36_000),
    standard("ict", 25_200),
    daylight("idt", 10_800),
    zone("iot", "Indian/Chagos"),
    zone("irkst", "Asia/Irkutsk"),
    zone("irkt", "Asia/Irkutsk"),
    standard("irt", 12_600),
    standard("ist", 7200),
    standard("jayt", 32_400),
    standard("jst", 32_400),
    daylight("kdt", 36_000),
    daylight("kgst", 21_600),
    zone("kgt", "Asia/Bishkek"),
    zone("kost", "Pacific/Kosrae"),
    zone("krast", "Asia/Krasnoyarsk"),
    zone("krat", "Asia/Krasnoyarsk"),
    standard("kst", 32_400),
    zone("lhdt", "Australia/Lord_Howe"),
    standard("lhst", 37_800),
    standard("ligt", 36_000),
    zone("lint", "Pacific/Kiritimati"),
    zone("lkt", "Asia/Colombo"),
    zone("magst", "Asia/Magadan"),
    zone("magt", "Asia/Magadan"),
    standard("mart", -34_200),
    zone("mawt", "Antarctica/Mawson"),
    daylight("mdt", -21_600),
    daylight("mest", 7200),
    daylight("mesz", 7200),
    standard("met", 3600),
    daylight("metdst", 7200),
    standard("mez", 3600),
    standard("mht", 43_200),
    standard("mmt", 23_400),
    standard("mpt", 36_000),
    daylight("msd", 14_400),
    zone("msk", "Europe/Moscow"),
    standard("mst", -25_200),
    daylight("must", 18_000),
    standard("mut", 14_400),
    standard("mvt", 18_000),
    standard("myt", 28_800),
    daylight("ndt", -9000),
    standard("nft", -12_600),
    zone("novst", "Asia/Novosibirsk"),
    zone("novt", "Asia/Novosibirsk"),
    standard("npt", 20_700),
    standard("nst", -12_600),
    zone("nut", "Pacific/Niue"),
    daylight("nzdt", 46_800),
    standard("nzst", 43_200),
    standard("nzt", 43_200),
    zone("omsst", "Asia/Omsk"),
    zone("omst", "Asia/Omsk"),
    daylight("pdt", -25_200),
    standard("pet", -18_000),
    zone("petst", "Asia/Kamchatka"),
    zone("pett", "Asia/Kamchatka"),
    standard("pgt", 36_000),
    standard("pht", 28_800),
    daylight("pkst", 21_600),
    standard("pkt", 18_000),
    daylight("pmdt", -7200),
    standard("pmst", -10_800),
    standard("pont", 39_600),
    standard("pst", -28_800),
    standard("pwt", 32_400),
    daylight("pyst", -10_800),
    zone("pyt", "America/Asuncion"),
    standard("ret", 14_400),
    daylight("sadt", 37_800),
    standard("sast", 7200),
    standard("sct", 14_400),
    zone("sgt", "Asia/Singapore"),
    standard("taht", -36_000),
    standard("tft", 18_000),
    standard("tjt", 18_000),
    zone("tkt", "Pacific/Fakaofo"),
    zone("tmt", "Asia/Ashgabat"),
    standard("tot", 46_800),
    standard("trut", 36_000),
    standard("tvt", 43_200),
    standard("uct", 0),
    daylight("ulast", 32_400),
    zone("ulat", "Asia/Ulaanbaatar"),
    standard("ut", 0),
    standard("utc", 0),
    daylight("uyst", -7200),
    standard("uyt", -10_800),
    daylight("uzst", 21_600),
    standard("uzt", 18_000),
    zone("vet", "America/Caracas"),
    zone("vlast", "Asia/Vladivostok"),
    zone("vlat", "Asia/Vladivostok"),
    zone("volt", "Europe/Volgograd"),
    standard("vut", 39_600),
    daylight("wadt", 28_800),
    standard("wakt", 43_200),
    standard("wast", 25_200),
    standard("wat", 3600),
    daylight("wdt", 32_400),
    standard("wet", 0),
    daylight("wetdst", 3600),
    standard("wft", 43_200),
    daylight("wgst", -7200),
    standard("wgt", -10_800),
    standard("xjt", 21_600),
    zone("yakst", "Asia/Yakutsk"),
    zone("yakt", "Asia/Yakutsk"),
    standard("yapt", 36_000),
    daylight("yekst", 21_600),
    zone("yekt", "Asia/Yekaterinburg"),
    standard("z", 0),
    standard("zulu", 0),
];

/// The meaning of an abbreviation, in letters of any case.
#[must_use]
pub fn find(name: &str) -> Option<Meaning> {
    let lower = name.to_ascii_lowercase();
    let found = ABBREVIATIONS.binary_search_by(|(known, _)| (*known).cmp(lower.as_str())).ok()?;
    ABBREVIATIONS.get(found).map(|(_, meaning)| *meaning)
}

/// What a zone uses an abbreviation for at an instant, and whether that is daylight saving time: the offset in force, else
/// the one that it stood for last, else the one that it will stand for next. `None` if the zone never uses it.
#[must_use]
pub fn use_in(zone: &TimeZone, name: &str, at: Timestamp) -> Option<(Offset, bool)> {
    let told = |at: Timestamp| {
        let info = zone.to_offset_info(at);
        let same = info.abbreviation().eq_ignore_ascii_case(name);
        same.then(|| (info.offset(), info.dst().is_dst()))
    };
    let present = told(at);
    if present.is_some() {
        return present;
    }
    // Each change tells what holds from it on; what held before the first is told by the time before it.
    let mut first = at;
    for change in zone.preceding(at).take(TRANSITIONS_MAX) {
        first = change.timestamp();
        let held = told(first);
        if held.is_some() {
            return held;
        }
    }
    let before = first.checked_sub(jiff::SignedDuration::from_secs(1)).ok().and_then(told);
    let later = || zone.following(at).take(TRANSITIONS_MAX).find_map(|it| told(it.timestamp()));
    before.or_else(later)
}
