"""How people ask about what they like, do and plan: food, hobbies, habits, travel, dates.

See ``frames`` for the notation. All frames of a group have the same answer.
"""

from __future__ import annotations

from allie_desktop.domain.frames import Group, group

TASTE: tuple[Group, ...] = (
    group(
        "what is {my} [favourite|favorite] [food|dish|meal]",
        "what {do} {S} like (to eat|eating) (most|best)",
        "(what|which) [food|dish] {do} {S} (like best|love most|enjoy most|like most|prefer)",
        "what {do} {S} most like to eat", "what dish {do} {S} love more than any other",
        "what {do} {S} eat with the greatest pleasure",
    ),
    group(
        "what is {my} [favourite|favorite] drink", "what {do} {S} like (to drink|drinking) (most|best)",
        "what {do} {S} most like to drink", "which drink {do} {S} (like best|prefer|enjoy most|like most)",
    ),
    group(
        "what is {my} [favourite|favorite] (book|novel)", "which book {do} {S} (like best|love most)",
        "what {do} {S} like reading most", "what is the best book {S} ever read",
        "which book did {S} enjoy more than any other",
    ),
    group(
        "what is {my} [favourite|favorite] [film|movie]",
        "which [film|movie] {do} {S} (like best|love most)", "what is the best [film|movie] in {my} opinion",
        "which [film|movie] could {S} watch again and again",
    ),
    group(
        "what is {my} [favourite|favorite] (band|singer|artist|musician)",
        "which {X} {do} {S} like listening to most", "who {do} {S} like listening to most",
        "whose music {do} {S} (like best|love most)", X="band|singer|artist|musician",
    ),
    group(
        "what is {my} [favourite|favorite] season", "what time of year {do} {S} like best",
        "which season {do} {S} (like best|love most|prefer|enjoy most)",
        "which part of the year {do} {S} enjoy most",
    ),
    group(
        "what is {my} [favourite|favorite] restaurant",
        "where {do} {S} like (eating out|to eat out) (most|best)",
        "which restaurant {do} {S} (like best|prefer)", "which restaurant {do} {S} like going to most",
    ),
    group(
        "[what|which] [team|football team|club|football club|soccer team] {do} {S} support",
        "what is {my} [favourite|favorite|] (team|football team|club)",
        "which (team|club|side) {do} {S} (follow|cheer for|root for)", "which team {be} {S} a fan of",
        "who {do} {S} support in football",
    ),
    group(
        "what is {my} [favourite|favorite] {X}",
        "which {X} {do} {S} (like best|love most|enjoy most|prefer|like most)",
        "what {X} {do} {S} like more than any other", "what {X} {be} {S} fondest of",
        "what is {my} number one {X}", "which {X} is closest to {my} heart",
        "what {X} would {S} pick above all others",
        X=r"(?!food|dish|meal|drink|hobby)[\w-]+(?<!s)(?: [\w-]+(?<!s)){0,2}",
    ),
    group(
        "what are {my} [favourite|favorite] {X}",
        "which {X} {do} {S} (like best|love most|enjoy most|prefer)",
        "what {X} {do} {S} like more than any others", "what {X} {be} {S} fondest of",
        X=r"[\w-]+s(?: [\w-]+)?",
    ),
    group(
        "how {do} {S} (take|like|drink|have|want) {own} {X}", "what {do} {S} (take|have|put) in {own} {X}",
        "how should {my} {X} be made", "what goes into {my} {X}", "how {do} {S} prefer {own} {X}",
        X="coffee|tea|espresso",
    ),
    group(
        "how {do} {S} (like|want|have|eat) {own} {X}", "how should {my} {X} be (done|cooked|prepared)",
        "how {do} {S} prefer {own} {X} done", X="eggs?|steak|pasta|rice|potatoes|toast|burger|fish|meat",
    ),
    group(
        "what {do} {S} (eat|have) for {X}", "what is {my} [usual|] {X}", "what does {my} {X} consist of",
        "what is on the table when {S} {have} {X}", X="breakfast|lunch|dinner|supper",
    ),
    group(
        "what [food|] {do} {S} (hate|dislike|detest) [eating|]", "what food can {S} not stand",
        "which food {do} {S} (hate|dislike|detest)", "what {do} {S} not like to eat",
        "what is {my} least favourite food", "which dish {do} {S} loathe",
    ),
    group(
        "what {do} {S} not eat", "what {do} {S} avoid eating", "which food {do} {S} (stay away from|refuse)",
        "what will {S} not eat", "what is not on {my} menu",
    ),
    group(
        "where {do} {S} (buy|get) {own} (groceries|food)",
        "where {do} {S} (do {own} grocery shopping|shop for groceries|go grocery shopping|do {own} food shopping|buy groceries)",
        "which (supermarket|grocery store) {do} {S} (go to|use|shop at)",
        "what is {my} (usual |)supermarket", "which shop {do} {S} get {own} food from",
    ),
    group(
        "where {do} {S} buy {X}", "where {do} {S} get {X} [from|]", "which shop {do} {S} buy {X} (in|at)",
        "who sells {me} {X}",
        X=(
            r"(?:my|our) (?!groceries|food)[\w-]+(?: [\w-]+)?|bread|coffee|meat|wine|cheese|"
            "vegetables"
        ),
    ),
    group(
        "what is {my} (hobby|pastime)", "what are {my} (hobbies|pastimes|interests)",
        "what {do} {S} [like to|] do (for fun|in {own} free time|in {own} spare time|as a hobby|in {own} leisure time|when not working)",
        "how {do} {S} spend {own} (free time|spare time|leisure time)", "what hobby {do} {S} have",
        "what hobbies {do} {S} have",
    ),
    group(
        "(what|which) [instrument|musical instrument] {do} {S} play", "what instrument can {S} play",
        "which musical instrument {have} {S} learnt", "what {do} {S} make music (on|with)",
        "what is {my} instrument",
    ),
    group(
        "(what|which) (sport|sports) {do} {S} (play|do)", "what {do} {S} do (for exercise|to keep fit)",
        "how {do} {S} (keep|stay) fit", "what kind of (sport|exercise) {do} {S} do", "what is {my} sport",
    ),
    group(
        "(what|which) (newspaper|paper) {do} {S} read", "what is {my} newspaper",
        "which newspaper {do} {S} take", "in which newspaper {do} {S} read the news",
    ),
    group(
        "(what|which) charity {do} {S} donate to", "which charity {do} {S} (support|give money to)",
        "to which charity {do} {S} (donate|give money)", "which good cause {do} {S} give to",
    ),
    group(
        "how many {X} {do} {S} have", "how many {X} {have} {S} got", "how many {X} {do} {S} own",
        "how many {X} belong to {me}",
        X=(
            "cats|dogs|pets|horses|rabbits|chickens|bikes|bicycles|cars|guitars|plants|books|"
            "hamsters|fish|goldfish|watches|motorbikes"
        ),
    ),
    group(
        "(what|which) gym {do} {S} go to", "where {do} {S} (work out|go to the gym)",
        "which gym {be} {S} a member of", "what is {my} gym called", "what is {my} gym",
        "which fitness studio {do} {S} go to",
    ),
    group(
        "(when|what days) {do} {S} go to the gym", "when {do} {S} work out",
        "when {do} {S} exercise at the gym", "on which days {do} {S} (work out|go to the gym)",
    ),
    group(
        "(what|which) book {be} {S} reading", "what {be} {S} reading",
        "which book {be} {S} in the middle of", "what is {my} current (book|read)",
        "what book {have} {S} got on the go",
    ),
    group(
        "(what|which) (series|show|TV series|TV show) {be} {S} watching",
        "which TV series {be} {S} (following|in the middle of)", "what {be} {S} watching",
        "what is {my} current [series|show|TV series]",
    ),
    group(
        "(what|which) (music|kind of music) {do} {S} (listen to|like)", "what is {my} taste in music",
        "which (genre|style) of music {do} {S} like", "what {do} {S} listen to", "what music {be} {S} into",
        "what sort of music {do} {S} enjoy",
    ),
    group(
        "what {do} {S} collect", "what {do} {S} have a collection of",
        "what kind of things {do} {S} (collect|gather)",
    ),
    group(
        "how {do} {S} (relax|unwind|wind down)", "what {do} {S} do to (relax|unwind|wind down|switch off)",
        "what helps {me} relax",
    ),
    group(
        "what {do} {S} do [on|every|at] {X}", "how {do} {S} spend {X}", "what {do} {S} get up to on {X}",
        X=(
            "(?:Sunday|Saturday|Friday|Monday|Tuesday|Wednesday|Thursday)s?(?: (?:morning|evening|"
            "afternoon|night)s?)?"
        ),
    ),
    group(
        "(when|what time) {do} {S} (have|eat) {X}", "what time is {my} {X}", "when {do} {S} sit down to {X}",
        "when is {X} time for {me}", X="breakfast|lunch|dinner|supper",
    ),
    group(
        "how much {X} {do} {S} drink (a|per|every) day",
        "how many cups of {X} {do} {S} (drink|have) (a|per|every) day",
        "how many cups of {X} {do} {S} get through in a day", "how many {X}s {do} {S} have a day",
        X="coffee|tea",
    ),
)  # fmt: skip

PLANS: tuple[Group, ...] = (
    group(
        "where {be} {S} going on [holiday|vacation] [this year|this summer|next year|next summer|]",
        "what is {my} [holiday|vacation|travel] destination",
        "where {be} {S} spending {own} [holiday|vacation]", "where {be} {S} travelling to",
        "where will {S} spend {own} [holiday|vacation]", "where {do} {S} plan to go on [holiday|vacation]",
        "where is {my} next [holiday|vacation|trip] going to be",
    ),
    group(
        "where did {S} go on {own} {X}", "where did {S} spend {own} {X}", "where was {my} {X}",
        "what was the destination of {my} {X}", "where did {S} travel to for {own} {X}",
        X="honeymoon|(?:last |first )?(?:holiday|vacation|trip)",
    ),
    group(
        "where did {S} go on {X}", "where did {S} spend {own} {X}", "where did {S} travel to for {own} {X}",
        X="honeymoon|holiday|vacation",
    ),
    group(
        "when is {my} flight", "when does {my} (flight|plane) (leave|take off|depart)",
        "what time is {my} flight", "when {do} {S} fly", "what time does {my} plane leave",
        "when {be} {S} flying",
    ),
    group(
        "(what|which) seat {do} {S} have", "what is {my} seat [number|]", "which seat {be} {S} sitting in",
        "where {be} {S} sitting on the plane", "which seat {have} {S} been given",
    ),
    group(
        "(what|which) hotel {be} {S} staying (at|in)", "where {be} {S} staying",
        "what hotel {have} {S} booked", "what is {my} hotel called", "what is {my} hotel",
        "what is the name of {my} hotel",
    ),
    group(
        "(what|which) country {do} {S} [want to|most want to] (visit|see)",
        "what country {do} {S} dream of (visiting|seeing)", "what is {my} dream destination",
        "where {do} {S} want to travel", "where would {S} love to travel",
    ),
    group(
        "what is {my} dream job", "what job would {S} (love|most like) to have",
        "what job {do} {S} dream of", "what would {S} love to work as",
    ),
    group(
        "what {be} {S} saving [up|] for", "what {do} {S} want to buy with {own} savings",
        "what {be} {S} putting money aside for", "what is {my} savings goal",
    ),
    group(
        "what {be} {S} (planning|doing) for {X}", "what {do} {S} have planned for {X}",
        "what are {my} plans for {X}", "what will {S} do for {X}",
    ),
    group(
        "what is {my} [New Year's resolution|resolution]", "what {have} {S} resolved to do this year",
    ),
    group(
        "what is {my} goal [for this year|]", "what {be} {S} (aiming for|working towards)",
        "what {do} {S} want to achieve",
    ),
    group(
        "what did {S} want to (be|become) as a child", "what was {my} childhood dream job",
        "what did {S} dream of becoming when little", "what job did {S} want as a child",
    ),
    group(
        "when is {my} {X}", "when {do} {S} have {own} {X}", "what (day|date) is {my} {X}",
        "when does {my} {X} take place", "what is the date of {my} {X}",
        "on (what|which) (day|date) is {my} {X}",
        X=(
            r"(?:[\w-]+ ){0,2}(?:exam|interview|test|appointment|operation|surgery|graduation|"
            "recital|concert|race|marathon|party|check-up|meeting|driving test)"
        ),
    ),
    group(
        "when is {my} {X} due", "what is the deadline for {my} {X}",
        "when {do} {S} have to (hand in|submit) {own} {X}", "by when must {my} {X} be finished",
        X=(
            r"(?:[\w-]+ )?(?:thesis|essay|report|paper|tax return|dissertation|assignment|homework|"
            "project|application)"
        ),
    ),
    group(
        "when is the [rubbish|trash|garbage|bin] (collected|picked up)",
        "when {do} {S} (put|take) the [rubbish|trash|garbage|bins] out", "which day is bin day",
        "when {do} {S} put out the [rubbish|trash|garbage|bins]",
    ),
    group(
        "what {do} {S} want for {X}", "what {do} {S} wish for for {X}", "what is on {my} {X} wish list",
        "what would {S} like to get for {X}", "what present {do} {S} hope for at {X}", X="Christmas",
    ),
    group(
        "what did {S} (give|get|buy) {X} for {Y}", "what present did {S} give {X} for {Y}",
        "what was {my} (present|gift) (to|for) {X} for {Y}", X=r"(?:my|her|his) (?!own)\w+",
        Y="Christmas|(?:his|her|their) birthday",
    ),
    group(
        "how often {do} {S} {X}", "how frequently {do} {S} {X}", "how regularly {do} {S} {X}",
    ),
)  # fmt: skip

TASTES: tuple[Group, ...] = TASTE + PLANS
