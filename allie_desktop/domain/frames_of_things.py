"""How people ask about what they own and use: devices, codes, numbers, cars, money, sizes.

See ``frames`` for the notation. All frames of a group have the same answer.
"""

from __future__ import annotations

from allie_desktop.domain.frames import Group, group

_DEVICE = (
    "phone|smartphone|mobile phone|cell phone|laptop|computer|tablet|camera|watch|printer|TV|television|guitar|"
    "piano|violin|bike|bicycle|motorbike|car|van|vacuum cleaner|coffee machine|washing machine|e-reader|console|"
    "games console|sewing machine|router|scooter"
)

_LOCKED = (
    "door|front door|gate|garage|garage door|safe|locker|gym locker|bike lock|lock|padlock|suitcase|shed|building|"
    "office|office door|garden gate|bike shed|luggage"
)

_BRANDED = (
    "perfume|aftershave|shampoo|toothpaste|deodorant|detergent|sunscreen|cologne|face cream|moisturiser|soap"
)

POSSESSIONS: tuple[Group, ...] = (
    group(
        "(what|which) {X} {do} {S} (have|own)",
        "(what|which) (brand|make|model|kind) of {X} {do} {S} (have|own|use)", "what {X} {have} {S} got",
        "(what|which) (brand|make|model) is {my} {X}", "what {X} belongs to {me}",
        "[what|which] {X} {do} {S} [use|drive|ride|play]", "what is {my} {X}", X=_DEVICE,
    ),
    group(
        "what (car|kind of car) {do} {S} drive", "what vehicle {do} {S} drive", "what {do} {S} drive",
        "what car {be} {S} driving", "what car {do} {S} get around in",
    ),
    group(
        "(what|which) [bike|bicycle|motorbike] {do} {S} ride", "what bike {be} {S} riding",
        "what two-wheeler {do} {S} ride",
    ),
    group(
        "[what|which] (brand of|) {X} {do} {S} (use|buy|wear)", "what brand is {my} {X}",
        "what is {my} {X} [brand|]", X=_BRANDED,
    ),
    group(
        "what [colour|color] is {T}", "what is the [colour|color] of {T}",
        "in what [colour|color] is {T} painted", "what shade is {T}", "what is {T} painted [in]",
        "what colour of paint is on {T}",
        T=(
            r"(?:my|our|[mM]y \w+'s) (?:car|house|bike|bicycle|front door|door|van|motorbike|boat|"
            "kitchen|bedroom|living room|fence|scooter|garden shed|shed|hut|garage|barn|gate|caravan|wardrobe)"
        ),
    ),
    group(
        "what [colour|color] are {my} eyes", "what eye [colour|color] {do} {S} have",
        "what is {my} eye [colour|color]", "which [colour|color] eyes {do} {S} have",
    ),
    group(
        "what [colour|color] is {my} hair", "what hair [colour|color] {do} {S} have",
        "what is {my} hair [colour|color]", "which [colour|color] hair {do} {S} have",
    ),
    group(
        "what is {my} [number plate|licence plate|license plate]",
        "what is {my} [licence plate number|license plate number|number plate number]",
        "what is the registration number of {my} car", "what does {my} number plate say",
        "what plate does {my} car have", "what is {my} car's registration number",
        "what is written on {my} licence plate", "what is {my} car registration",
        "what number is on {my} licence plate",
    ),
    group(
        "where {do} {S} park [my car|]", "where {do} {S} leave {own} car",
        "where is {my} (parking space|parking spot)", "where does {my} car stand",
        "where {do} {S} keep {own} car", "where {do} {S} park {own} car",
    ),
    group(
        "where did {S} park {own} car", "where did {S} leave {own} car", "where {have} {S} parked {own} car",
        "where is {my} car parked",
    ),
    group(
        "where {do} {S} (keep|store|have) {T}", "where is {T} kept", "where can {S} find {T}",
        "where {is} {T} stored", "where {is} {T}",
        T=(
            "(?:my|our|the) (?:(?!car|home|house|job|office|school|birth|bank|parents|mother|"
            r"father|sister|brother)[\w-]+ ){0,2}(?:keys?|passport|tools|toolbox|umbrella|"
            "suitcases?|medicine|medication|documents?|papers|certificates?|tent|skis?|charger|"
            "torch|flashlight|batteries|drill|first aid kit|sewing kit|jewellery|jewelry|glasses|"
            "wallet|decorations|savings|insurance papers|birth certificate|will|ladder|iron|"
            "sleeping bag)"
        ),
    ),
    group(
        "where {do} {S} hide {T}", "where {is} {T} hidden", "what is the hiding place of {T}",
        "where {have} {S} hidden {T}",
    ),
    group(
        "where did {S} put {T}", "where did {S} leave {T}", "where {have} {S} put {T}",
        ">where is {T} lying",
    ),
    group(
        "what is {my} [wifi|wi-fi|Wi-Fi|WiFi|WLAN|wireless] password",
        "what is the password (for|to|of) {my} wifi", "what password {do} {S} use for the wifi",
        "what is {my} (wireless|internet) password", "what is the [key|password] for {my} wireless network",
        "what has to be typed in to get onto {my} wifi", "what is the [wifi|wi-fi|Wi-Fi|WiFi|WLAN] password",
    ),
    group(
        "what is {my} {X} password", "what is the password (for|to) {my} {X}",
        "which password {do} {S} use for {own} {X}", "what password (unlocks|opens) {my} {X}",
        X="laptop|computer|email|e-mail|phone|tablet|PC|Netflix|bank|account|email account",
    ),
    group(
        "what is {my} (username|user name|login name) (on|for) {X}", "what name {do} {S} use on {X}",
        "what {be} {S} called on {X}", "under what name {be} {S} on {X}",
        "what is {my} {X} (username|login name)", X=r"(?!the |my )\w+",
    ),
    group(
        "what is {my} {X} (PIN|PIN code|PIN number)", "what is the PIN (of|for) {my} {X}",
        "which PIN {do} {S} (use|enter) for {own} {X}", "what is the secret number (of|for) {my} {X}",
        X="(?:bank |credit |debit |SIM )?card|phone|tablet|bank",
    ),
    group(
        "what is {my} {X} (code|combination)", "what is the (code|combination) (for|to|of) {my} {X}",
        "which code opens {my} {X}", "what code {do} {S} need for {own} {X}", "what numbers open {my} {X}",
        "what {do} {S} have to enter to open {own} {X}", "what is the combination that opens {my} {X}",
        "what {do} {S} punch in to open {own} {X}", X=_LOCKED,
    ),
    group(
        "what is {my} alarm code", "what is the (code|PIN) (for|of) {my} alarm",
        "which code (turns off|disarms) {my} alarm", "what {do} {S} enter to turn {own} alarm off",
    ),
    group(
        "what is {my} [email|e-mail|email address|e-mail address|mail address]",
        "what [email|e-mail] address {do} {S} (have|use)", "where can people email {me}",
        "at what address can {S} be emailed", "what address should emails to {me} go to",
        "how can {S} be reached by email",
    ),
    group(
        "what is {my} {X} number", "what {X} number {do} {S} have", "what is the number of {my} {X}",
        X="phone|telephone|mobile|cell|cell phone|mobile phone",
    ),
    group(
        "what is {my} phone number", "how can {S} be reached by phone",
        "what number should people call to reach {me}", "what number do people dial to reach {me}",
        "on what number can {S} be called",
    ),
    group(
        "what is {my} {X} number", "what number is {my} {X}", "what is the number of {my} {X}",
        X="locker|room|house|flat|apartment|seat|parking space|office|hotel room|gate|platform",
    ),
    group(
        "what is {my} {X} number", "what number is on {my} {X}", "what is the number (on|of) {my} {X}",
        X=(
            "passport|library card|membership card|ID card|loyalty card|insurance card|"
            "social security card"
        ),
    ),
    group(
        "(what|which) bank {do} {S} use", "what is {my} bank", "who {do} {S} bank with",
        "which bank {be} {S} with", "where {do} {S} bank",
        "where {do} {S} have {own} (bank account|account)", "which bank {be} {S} a customer of",
        "which bank looks after {my} money", "what is {my} bank called",
    ),
    group(
        "who is {my} {X} (provider|supplier|company)", "which company {do} {S} get {own} {X} from",
        "who {do} {S} get {own} {X} from", "who (provides|supplies) {my} {X}",
        "what is {my} {X} (provider|supplier|company)",
        X="internet|electricity|gas|power|energy|water|broadband|phone",
    ),
    group(
        "who is {my} {X} insurance with", "which company insures {my} {X}", "who insures {my} {X}",
        "what is {my} {X} insurance [company|]", "which insurance company covers {my} {X}",
        "what company is {my} {X} insured with", X="car|house|home|bike|dog|cat|travel",
    ),
    group(
        "what is {my} health insurance [company|]", "who is {my} health insurance with",
        "which health insurance {do} {S} have", "which company {do} {S} have {own} health insurance with",
        ">who covers {my} medical bills",
    ),
    group(
        "(what|which) operating system {do} {S} (use|have)", "what OS {do} {S} (use|run)",
        "what does {my} computer run", "what system {do} {S} run on {own} computer",
    ),
    group(
        "(what|which) browser {do} {S} use", "what {do} {S} (browse|surf) the web with",
        "what is {my} browser [of choice|]", "which program {do} {S} open websites with",
    ),
    group(
        "(what|which) (programming language|language) {do} {S} (program|code) in",
        "what {do} {S} write {own} code in", "what {do} {S} (program|code) in",
        "which programming language {do} {S} use",
    ),
    group(
        "where did {S} buy {T}", "where did {S} (get|purchase) {T}", "which shop did {S} buy {T} (at|in)",
        "where {is} {T} from", "in which (store|shop) did {S} get {T}",
        T=(
            r"(?:my|our|her|his|the) (?:[\w-]+ ){0,2}(?:car|bike|bicycle|sofa|couch|table|bed|"
            "phone|laptop|computer|camera|watch|guitar|piano|shoes|coat|jacket|dress|suit|ring|"
            "tent|lamp|desk|chair|TV|printer|boat|van|glasses|bag|backpack|rug|mattress|jumper|"
            "sweater|boots)"
        ),
    ),
    group(
        "how much did {S} pay for {T}", "what did {T} cost [me|]", "how much did {T} cost [me|]",
        "how much did {S} spend on {T}", "what was the price of {T}", "how expensive (was|were) {T}",
        "what did {S} (pay|give) for {T}",
    ),
    group(
        "how much {do} {S} pay for {T}", "what does {T} cost {me}", "how much does {T} cost {me}",
        "what {do} {S} pay for {T}", "what is the price of {T}",
    ),
    group(
        "when did {S} buy {T}", "when did {S} (get|purchase) {T}", "since when {have} {S} (had|owned) {T}",
    ),
    group(
        "when does {T} expire", "when does {T} run out", "until when is {T} valid",
        "what is the expiry date of {T}", "how long is {T} valid", "when {do} {S} have to renew {T}",
    ),
    group(
        "what is {my} shoe size", "what size shoes {do} {S} (wear|take|need)",
        "what size are {my} (shoes|feet)", "(what|which) shoe size {do} {S} (have|take|wear|need)",
        "what size {do} {S} take in shoes", "how big are {my} feet", "in what size {do} {S} buy {own} shoes",
    ),
    group(
        "what is {my} {X} size", "(what|which) {X} size {do} {S} (wear|take|have|need)",
        "in what size {do} {S} buy {X}s", "what size {X}s {do} {S} (wear|take|need)",
        "what size {do} {S} take in {X}s",
        X="shirt|T-shirt|jacket|ring|hat|glove|coat|jumper|sweater|suit|skirt|sock|helmet",
    ),
    group(
        "what is {my} {X} size", "(what|which) {X} size {do} {S} (wear|take|have|need)",
        "in what size {do} {S} buy {own} clothes", "what size {do} {S} (wear|take)", X="clothes|clothing",
    ),
    group(
        "what is {my} lucky number", "which number brings {me} luck", "what number {do} {S} consider lucky",
        ">which number {do} {S} believe in for luck",
    ),
)  # fmt: skip

THINGS: tuple[Group, ...] = POSSESSIONS
