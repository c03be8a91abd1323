"""What people ask about what they have and like: devices, codes, cars, money, food, hobbies, travel.

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
_BRANDED = "perfume|aftershave|shampoo|toothpaste|deodorant|detergent|sunscreen|cologne|face cream|moisturiser|soap"

POSSESSIONS: tuple[Group, ...] = (
    group(
        "(what|which) {X} {do} {S} (have|own)", "(what|which) (brand|make|model|kind) of {X} {do} {S} (have|own|use)", "what {X} {have} {S} got",
        "(what|which) (brand|make|model) is {my} {X}", "what {X} belongs to {me}", "[what|which] {X} {do} {S} [use|drive|ride|play]",
        "what is {my} {X}",
        X=_DEVICE,
    ),
    group("what (car|kind of car) {do} {S} drive", "what vehicle {do} {S} drive", "what {do} {S} drive", "what car {be} {S} driving", "what car {do} {S} get around in"),
    group("(what|which) [bike|bicycle|motorbike] {do} {S} ride", "what bike {be} {S} riding", "what two-wheeler {do} {S} ride"),
    group("[what|which] (brand of|) {X} {do} {S} (use|buy)", "what brand is {my} {X}", "what is {my} {X} [brand|]", X=_BRANDED),
    group("what [colour|color] is {T}", "what is the [colour|color] of {T}", "in what [colour|color] is {T} painted", "what shade is {T}", T="(?:my|our|[mM]y \\w+'s) (?:car|house|bike|bicycle|front door|door|van|motorbike|boat|kitchen|bedroom|living room|fence|scooter)"),
    group("what [colour|color] are {my} eyes", "what eye [colour|color] {do} {S} have", "what is {my} eye [colour|color]", "which [colour|color] eyes {do} {S} have"),
    group("what [colour|color] is {my} hair", "what hair [colour|color] {do} {S} have", "what is {my} hair [colour|color]", "which [colour|color] hair {do} {S} have"),
    group(
        "what is {my} [licence plate|license plate|number plate] [number|]", "what is the registration number of {my} car",
        "what does {my} number plate say", "what plate does {my} car have", "what is {my} car's registration number",
        "what is written on {my} licence plate", "what is {my} (registration number|car registration)", "what number is on {my} licence plate",
    ),
    group(
        "where {do} {S} park [my car|]", "where {do} {S} leave {own} car", "where is {my} (parking space|parking spot)", "where does {my} car stand",
        "where {do} {S} keep {own} car", "where {do} {S} park {own} car",
    ),
    group("where did {S} park {own} car", "where did {S} leave {own} car", "where {have} {S} parked {own} car", "where is {my} car parked"),
    group(
        "where {do} {S} (keep|store|have) {T}", "where is {T} kept", "where can {S} find {T}", "where is the place for {T}", "where {is} {T} stored",
        "where {is} {T}",
        T="(?:my|our|the) (?:(?!car|home|house|job|office|school|birth|bank|parents|mother|father|sister|brother)[\\w-]+ ){0,2}(?:keys?|passport|tools|toolbox|umbrella|suitcases?|medicine|medication|documents?|papers|certificates?|tent|skis?|charger|torch|flashlight|batteries|drill|first aid kit|sewing kit|jewellery|jewelry|glasses|wallet|decorations|savings|insurance papers|birth certificate|will|ladder|iron|sleeping bag)",
    ),
    group("where {do} {S} hide {T}", "where {is} {T} hidden", "what is the hiding place of {T}", "where {have} {S} hidden {T}"),
    group("where did {S} put {T}", "where did {S} leave {T}", "where {have} {S} put {T}", ">where is {T} lying"),
    group(
        "what is {my} [wifi|wi-fi|Wi-Fi|WiFi|WLAN|wireless] password", "what is the password (for|to|of) {my} wifi", "what password {do} {S} use for the wifi",
        "what is {my} (wireless|internet) password", "what is the [key|password] for {my} wireless network", "what has to be typed in to get onto {my} wifi", "what is the [wifi|wi-fi|Wi-Fi|WiFi|WLAN] password",
    ),
    group("what is {my} {X} password", "what is the password (for|to) {my} {X}", "which password {do} {S} use for {own} {X}", "what password (unlocks|opens) {my} {X}", X="laptop|computer|email|e-mail|phone|tablet|PC|Netflix|bank|account|email account"),
    group("what is {my} (username|user name|login name) (on|for) {X}", "what name {do} {S} use on {X}", "what {be} {S} called on {X}", "under what name {be} {S} on {X}", "what is {my} {X} (username|login name)", X="(?!the |my )\\w+"),
    group("what is {my} {X} (PIN|PIN code|PIN number)", "what is the PIN (of|for) {my} {X}", "which PIN {do} {S} (use|enter) for {own} {X}", "what is the secret number (of|for) {my} {X}", X="(?:bank |credit |debit |SIM )?card|phone|tablet|bank"),
    group(
        "what is {my} {X} (code|combination)", "what is the (code|combination) (for|to|of) {my} {X}", "which code opens {my} {X}", "what code {do} {S} need for {own} {X}",
        "what numbers open {my} {X}", "what {do} {S} have to enter to open {own} {X}", "what is the combination that opens {my} {X}", "what {do} {S} punch in to open {own} {X}",
        X=_LOCKED,
    ),
    group("what is {my} alarm code", "what is the (code|PIN) (for|of) {my} alarm", "which code (turns off|disarms) {my} alarm", "what {do} {S} enter to turn {own} alarm off"),
    group(
        "what is {my} [email|e-mail|email address|e-mail address|mail address]", "what [email|e-mail] address {do} {S} (have|use)", "where can people email {me}",
        "at what address can {S} be emailed", "what address should emails to {me} go to", "how can {S} be reached by email",
    ),
    group(
        "what is {my} {X} number", "what {X} number {do} {S} have", "(what|which) number can {S} be reached (on|at) by {X}", "what number {do} people dial to reach {me} by {X}",
        "what is the number of {my} {X}", X="phone|telephone|mobile|cell|cell phone|mobile phone",
    ),
    group("what is {my} phone number", "how can {S} be reached by phone", "what number should people call to reach {me}", "what number {do} people dial to reach {me}", "on what number can {S} be called"),
    group("what is {my} {X} number", "what number is {my} {X}", "what is the number of {my} {X}", X="locker|room|house|flat|apartment|seat|parking space|office|hotel room|gate|platform"),
    group("what is {my} {X} number", "what number is on {my} {X}", "what is the number (on|of) {my} {X}", X="passport|library card|membership card|ID card|loyalty card|insurance card|social security card"),
    group(
        "(what|which) bank {do} {S} use", "what is {my} bank", "who {do} {S} bank with", "which bank {be} {S} with", "where {do} {S} bank",
        "where {do} {S} have {own} (bank account|account)", "which bank {be} {S} a customer of", "which bank looks after {my} money", "what is {my} bank called",
    ),
    group("who is {my} {X} (provider|supplier|company)", "which company {do} {S} get {own} {X} from", "who {do} {S} get {own} {X} from", "who (provides|supplies) {my} {X}", "what is {my} {X} (provider|supplier|company)", X="internet|electricity|gas|power|energy|water|broadband|phone"),
    group("who is {my} {X} insurance with", "which company insures {my} {X}", "who insures {my} {X}", "what is {my} {X} insurance [company|]", "which insurance company covers {my} {X}", "what company is {my} {X} insured with", X="car|house|home|bike|dog|cat|travel"),
    group("what is {my} health insurance [company|]", "who is {my} health insurance with", "which health insurance {do} {S} have", "which company {do} {S} have {own} health insurance with", ">who covers {my} medical bills"),
    group("(what|which) operating system {do} {S} (use|have)", "what OS {do} {S} (use|run)", "what does {my} computer run", "what system {do} {S} run on {own} computer"),
    group("(what|which) browser {do} {S} use", "what {do} {S} (browse|surf) the web with", "what is {my} browser [of choice|]", "which program {do} {S} open websites with"),
    group("(what|which) (programming language|language) {do} {S} (program|code) in", "what {do} {S} write {own} code in", "what {do} {S} (program|code) in", "which programming language {do} {S} use"),
    group(
        "where did {S} buy {T}", "where did {S} (get|purchase) {T}", "which shop did {S} buy {T} (at|in)", "where {is} {T} from", "in which (store|shop) did {S} get {T}",
        T="(?:my|our|her|his|the) (?:[\\w-]+ ){0,2}(?:car|bike|bicycle|sofa|couch|table|bed|phone|laptop|computer|camera|watch|guitar|piano|shoes|coat|jacket|dress|suit|ring|tent|lamp|desk|chair|TV|printer|boat|van|glasses|bag|backpack|rug|mattress|jumper|sweater|boots)",
    ),
    group(
        "how much did {S} pay for {T}", "what did {T} cost [me|]", "how much did {T} cost [me|]", "how much did {S} spend on {T}", "what was the price of {T}",
        "how expensive (was|were) {T}", "what did {S} (pay|give) for {T}",
    ),
    group("how much {do} {S} pay for {T}", "what does {T} cost {me}", "how much does {T} cost {me}", "what {do} {S} pay for {T}", "what is the price of {T}"),
    group("when did {S} buy {T}", "when did {S} (get|purchase) {T}", "since when {have} {S} (had|owned) {T}"),
    group("when does {T} expire", "when does {T} run out", "until when is {T} valid", "what is the expiry date of {T}", "how long is {T} valid", "when {do} {S} have to renew {T}"),
    group(
        "what is {my} shoe size", "what size shoes {do} {S} (wear|take|need)", "what size are {my} (shoes|feet)", "(what|which) shoe size {do} {S} (have|take|wear|need)",
        "what size {do} {S} take in shoes", "how big are {my} feet", "in what size {do} {S} buy {own} shoes",
    ),
    group(
        "what is {my} {X} size", "(what|which) {X} size {do} {S} (wear|take|have|need)", "in what size {do} {S} buy {X}s", "what size {X}s {do} {S} (wear|take|need)",
        "what size {do} {S} take in {X}s", X="shirt|T-shirt|jacket|ring|hat|glove|coat|jumper|sweater|suit|skirt|sock|helmet",
    ),
    group("what is {my} {X} size", "(what|which) {X} size {do} {S} (wear|take|have|need)", "in what size {do} {S} buy {own} clothes", "what size {do} {S} (wear|take)", X="clothes|clothing"),
    group("what is {my} lucky number", "which number brings {me} luck", "what number {do} {S} consider lucky", ">which number {do} {S} believe in for luck"),
)

TASTE: tuple[Group, ...] = (
    group(
        "what is {my} [favourite|favorite] [food|dish|meal]", "what {do} {S} like (to eat|eating) (most|best)", "(what|which) [food|dish] {do} {S} (like best|love most|enjoy most|like most|prefer)",
        "what {do} {S} most like to eat", "what dish {do} {S} love more than any other", "what {do} {S} eat with the greatest pleasure",
    ),
    group("what is {my} [favourite|favorite] drink", "what {do} {S} like (to drink|drinking) (most|best)", "what {do} {S} most like to drink", "which drink {do} {S} (like best|prefer|enjoy most|like most)"),
    group("what is {my} [favourite|favorite] (book|novel)", "which book {do} {S} (like best|love most)", "what {do} {S} like reading most", "what is the best book {S} ever read", "which book did {S} enjoy more than any other"),
    group("what is {my} [favourite|favorite] [film|movie]", "which [film|movie] {do} {S} (like best|love most)", "what is the best [film|movie] in {my} opinion", "which [film|movie] could {S} watch again and again"),
    group("what is {my} [favourite|favorite] (band|singer|artist|musician)", "which {X} {do} {S} like listening to most", "who {do} {S} like listening to most", "whose music {do} {S} (like best|love most)", X="band|singer|artist|musician"),
    group("what is {my} [favourite|favorite] season", "what time of year {do} {S} like best", "which season {do} {S} (like best|love most|prefer|enjoy most)", "which part of the year {do} {S} enjoy most"),
    group("what is {my} [favourite|favorite] restaurant", "where {do} {S} like (eating out|to eat out) (most|best)", "which restaurant {do} {S} (like best|prefer)", "which restaurant {do} {S} like going to most"),
    group("[what|which] [team|football team|club|football club|soccer team] {do} {S} support", "what is {my} [favourite|favorite|] (team|football team|club)", "which (team|club|side) {do} {S} (follow|cheer for|root for)", "which team {be} {S} a fan of", "who {do} {S} support in football"),
    group(
        "what is {my} [favourite|favorite] {X}", "which {X} {do} {S} (like best|love most|enjoy most|prefer|like most)", "what {X} {do} {S} like more than any other", "what {X} {be} {S} fondest of",
        "what is {my} number one {X}", "which {X} is closest to {my} heart", "what {X} would {S} pick above all others",
        X="(?!food|dish|meal|drink|hobby)[\\w-]+(?<!s)(?: [\\w-]+(?<!s)){0,2}",
    ),
    group("what are {my} [favourite|favorite] {X}", "which {X} {do} {S} (like best|love most|enjoy most|prefer)", "what {X} {do} {S} like more than any others", "what {X} {be} {S} fondest of", X="[\\w-]+s(?: [\\w-]+)?"),
    group(
        "how {do} {S} (take|like|drink|have|want) {own} {X}", "what {do} {S} (take|have|put) in {own} {X}", "how should {my} {X} be made", "what goes into {my} {X}", "how {do} {S} prefer {own} {X}",
        X="coffee|tea|espresso",
    ),
    group("how {do} {S} (like|want|have|eat) {own} {X}", "how should {my} {X} be (done|cooked|prepared)", "how {do} {S} prefer {own} {X} done", X="eggs?|steak|pasta|rice|potatoes|toast|burger|fish|meat"),
    group("what {do} {S} (eat|have) for {X}", "what is {my} [usual|] {X}", "what does {my} {X} consist of", "what is on the table when {S} {have} {X}", X="breakfast|lunch|dinner|supper"),
    group("what [food|] {do} {S} (hate|dislike|detest) [eating|]", "what food can {S} not stand", "which food {do} {S} (hate|dislike|detest)", "what {do} {S} not like to eat", "what is {my} least favourite food", "which dish {do} {S} loathe"),
    group("what {do} {S} not eat", "what {do} {S} avoid eating", "which food {do} {S} (stay away from|refuse)", "what will {S} not eat", "what is not on {my} menu"),
    group("where {do} {S} (buy|get) {own} (groceries|food)", "where {do} {S} (do {own} grocery shopping|shop for groceries|go grocery shopping|do {own} food shopping|buy groceries)", "which (supermarket|grocery store) {do} {S} (go to|use|shop at)", "what is {my} (usual |)supermarket", "which shop {do} {S} get {own} food from"),
    group("where {do} {S} buy {X}", "where {do} {S} get {X} [from|]", "which shop {do} {S} buy {X} (in|at)", "who sells {me} {X}", X="(?:my|our) (?!groceries|food)[\\w-]+(?: [\\w-]+)?|bread|coffee|meat|wine|cheese|vegetables"),
    group(
        "what is {my} (hobby|pastime)", "what are {my} (hobbies|pastimes|interests)", "what {do} {S} [like to|] do (for fun|in {own} free time|in {own} spare time|as a hobby|in {own} leisure time|when not working)",
        "how {do} {S} spend {own} (free time|spare time|leisure time)", "what hobby {do} {S} have", "what hobbies {do} {S} have",
    ),
    group("(what|which) [instrument|musical instrument] {do} {S} play", "what instrument can {S} play", "which musical instrument {have} {S} learnt", "what {do} {S} make music (on|with)", "what is {my} instrument"),
    group("(what|which) (sport|sports) {do} {S} (play|do)", "what {do} {S} do (for exercise|to keep fit)", "how {do} {S} (keep|stay) fit", "what kind of (sport|exercise) {do} {S} do", "what is {my} sport"),
    group("(what|which) gym {do} {S} go to", "where {do} {S} (work out|go to the gym)", "which gym {be} {S} a member of", "what is {my} gym called", "what is {my} gym", "which fitness studio {do} {S} go to"),
    group("(when|what days) {do} {S} go to the gym", "when {do} {S} work out", "when {do} {S} exercise at the gym", "on which days {do} {S} (work out|go to the gym)"),
    group("(what|which) book {be} {S} reading", "what {be} {S} reading", "which book {be} {S} in the middle of", "what is {my} current (book|read)", "what book {have} {S} got on the go"),
    group("(what|which) (series|show|TV series|TV show) {be} {S} watching", "which TV series {be} {S} (following|in the middle of)", "what {be} {S} watching", "what is {my} current [series|show|TV series]"),
    group("(what|which) (music|kind of music) {do} {S} (listen to|like)", "what is {my} taste in music", "which (genre|style) of music {do} {S} like", "what {do} {S} listen to", "what music {be} {S} into", "what sort of music {do} {S} enjoy"),
    group("what {do} {S} collect", "what {do} {S} have a collection of", "what is {my} collection of", "what kind of things {do} {S} (collect|gather)"),
    group("how {do} {S} (relax|unwind|wind down)", "what {do} {S} do to (relax|unwind|wind down|switch off)", "what helps {me} relax"),
    group("what {do} {S} do (on|every|at) {X}", "how {do} {S} spend {X}", "what {do} {S} get up to on {X}", X="(?:Sunday|Saturday|Friday|Monday|Tuesday|Wednesday|Thursday)s?(?: (?:morning|evening|afternoon|night)s?)?"),
    group("(when|what time) {do} {S} (have|eat) {X}", "what time is {my} {X}", "when {do} {S} sit down to {X}", "when is {X} time for {me}", X="breakfast|lunch|dinner|supper"),
    group("how much {X} {do} {S} drink (a|per|every) day", "how many cups of {X} {do} {S} (drink|have) (a|per|every) day", "how many cups of {X} {do} {S} get through in a day", "how many {X}s {do} {S} have a day", X="coffee|tea"),
)

PLANS: tuple[Group, ...] = (
    group(
        "where {be} {S} going on [holiday|vacation] [this year|this summer|next year|next summer|]", "what is {my} [holiday|vacation|travel] destination", "where {be} {S} spending {own} [holiday|vacation]",
        "where {be} {S} travelling to", "where will {S} spend {own} [holiday|vacation]", "where {do} {S} plan to go on [holiday|vacation]", "where is {my} next [holiday|vacation|trip] going to be",
    ),
    group("where did {S} go on {own} {X}", "where did {S} spend {own} {X}", "where was {my} {X}", "what was the destination of {my} {X}", "where did {S} travel to for {own} {X}", X="honeymoon|(?:last |first )?(?:holiday|vacation|trip)"),
    group("where did {S} go on {X}", "where did {S} spend {own} {X}", "where did {S} travel to for {own} {X}", X="honeymoon|holiday|vacation"),
    group("when is {my} flight", "when does {my} (flight|plane) (leave|take off|depart)", "what time is {my} flight", "when {do} {S} fly", "what time does {my} plane leave", "when {be} {S} flying"),
    group("(what|which) seat {do} {S} have", "what is {my} seat [number|]", "which seat {be} {S} sitting in", "where {be} {S} sitting on the plane", "which seat {have} {S} been given"),
    group("(what|which) hotel {be} {S} staying (at|in)", "where {be} {S} staying", "what hotel {have} {S} booked", "what is {my} hotel called", "what is {my} hotel", "what is the name of {my} hotel"),
    group("(what|which) country {do} {S} [want to|most want to] (visit|see)", "what country {do} {S} dream of (visiting|seeing)", "what is {my} dream destination", "where {do} {S} want to travel", "where would {S} love to travel"),
    group("what is {my} dream job", "what job would {S} (love|most like) to have", "what job {do} {S} dream of", "what would {S} love to work as"),
    group("what {be} {S} saving [up|] for", "what {do} {S} want to buy with {own} savings", "what {be} {S} putting money aside for", "what is {my} savings goal"),
    group("what {be} {S} (planning|doing) for {X}", "what {do} {S} have planned for {X}", "what are {my} plans for {X}", "what will {S} do for {X}"),
    group("what is {my} [New Year's resolution|resolution]", "what {have} {S} resolved to do this year"),
    group("what is {my} goal [for this year|]", "what {be} {S} (aiming for|working towards)", "what {do} {S} want to achieve"),
    group("what did {S} want to (be|become) as a child", "what was {my} childhood dream job", "what did {S} dream of becoming when little", "what job did {S} want as a child"),
    group("when is {my} {X}", "when {do} {S} have {own} {X}", "what (day|date) is {my} {X}", "when does {my} {X} take place", "what is the date of {my} {X}", "on (what|which) (day|date) is {my} {X}", X="(?:[\\w-]+ ){0,2}(?:exam|interview|test|appointment|operation|surgery|graduation|recital|concert|race|marathon|party|check-up|meeting|driving test)"),
    group("when is {my} {X} due", "what is the deadline for {my} {X}", "when {do} {S} have to (hand in|submit) {own} {X}", "by when must {my} {X} be finished", X="(?:[\\w-]+ )?(?:thesis|essay|report|paper|tax return|dissertation|assignment|homework|project|application)"),
    group("when is the [rubbish|trash|garbage|bin] (collected|picked up)", "when {do} {S} (put|take) the [rubbish|trash|garbage|bins] out", "which day is bin day", "when {do} {S} put out the [rubbish|trash|garbage|bins]"),
    group("what {do} {S} want for {X}", "what {do} {S} wish for for {X}", "what is on {my} {X} wish list", "what would {S} like to get for {X}", "what present {do} {S} hope for at {X}", X="Christmas"),
    group("what did {S} (give|get|buy) {X} for {Y}", "what present did {S} give {X} for {Y}", "what was {my} (present|gift) (to|for) {X} for {Y}", X="(?:my|her|his) (?!own)\\w+", Y="Christmas|(?:his|her|their) birthday"),
    group("how often {do} {S} {X}", "how frequently {do} {S} {X}", "how regularly {do} {S} {X}"),
)

THINGS: tuple[Group, ...] = POSSESSIONS + TASTE + PLANS
