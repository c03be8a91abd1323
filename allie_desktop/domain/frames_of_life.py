"""How people ask where they live, what they do and where they learnt it: home, work, school.

See ``frames`` for the notation. All frames of a group have the same answer.
"""

from __future__ import annotations

from allie_desktop.domain.frames import Group, group

HOME: tuple[Group, ...] = (
    group(
        "where {do} {S} live", "what place {do} {S} call home", "where is {my} home",
        "where {be} {S} living", "where {do} {S} reside", "where {be} {S} at home",
        "where {do} {S} have {own} home",
    ),
    group(
        "what is {my} (address|home address|postal address|street address)", "what address {do} {S} live at",
        "which street and house number {do} {S} live at", "where should post for {me} be sent",
        "where would a parcel for {me} have to go", "at what address can {S} be found",
    ),
    group(
        "(what|which) (street|road) {do} {S} live (on|in)", "what street is {my} (house|home) on",
        "what is {my} street called", "what is the name of {my} street",
    ),
    group(
        "(what|which) floor {do} {S} live on", "what floor is {my} [flat|apartment] on",
        "on (what|which) storey {do} {S} live", "which level of the building is {my} home on",
    ),
    group(
        "who {do} {S} live with", "who {do} {S} share {own} (home|household) with",
        "who else lives in {my} home", ">who lives together with {me}", "who lives with {me}",
        "who {be} {S} living with",
    ),
    group(
        "how long {have} {S} lived in {X}", "since when {have} {S} lived in {X}",
        "how many years {have} {S} lived in {X}", "how long {have} {S} been living in {X}",
        "how long has {X} been {my} home",
    ),
    group(
        "when did {S} move to {X}", "when did {S} relocate to {X}", "when did {S} come to live in {X}",
        "when did {S} settle in {X}", "what year did {S} move to {X}",
    ),
    group(
        "how much rent {do} {S} pay", "how (much|high) is {my} rent", "what is {my} [rent|monthly rent]",
        "what {do} {S} pay (in|for) rent", "how much {do} {S} pay for rent",
    ),
    group(
        "what is {my} [hometown|home town]", "where did {S} grow up", "where {was} {S} raised",
        "where {was} {S} brought up", "where did {S} spend {own} childhood",
        "which place did {S} grow up in", "where did {S} live as a child",
    ),
    group(
        "where {was} {S} born", "what is {my} (birthplace|place of birth)",
        "where did {S} come into the world", ">which place {was} {S} born in",
    ),
    group(
        "when {was} {S} born", "what is {my} (date of birth|birth date)",
        "on (what|which) (date|day) {was} {S} born", "when did {S} come into the world",
        "what date {was} {S} born on",
    ),
    group(
        "(what|which) year {was} {S} born [in|]", "what is {my} (year of birth|birth year)",
        "in (what|which) year {was} {S} born",
    ),
    group(
        "when is {my} birthday", "when {do} {S} celebrate {own} birthday",
        "what (date|day) is {my} birthday", "when {do} {S} turn a year older",
        "on (what|which) day {do} {S} get a year older", "when {do} {S} have {own} birthday",
    ),
    group(
        "what is {my} (star sign|zodiac sign)", "what sign of the zodiac {be} {S}",
        "which (star|zodiac) sign {be} {S}", "which star sign {was} {S} born under",
    ),
    group(
        "what is {my} nationality", "what nationality {be} {S}", "what country {be} {S} a citizen of",
        "what is {my} citizenship", "which citizenship {do} {S} (have|hold)", "what passport {do} {S} hold",
    ),
    group(
        "what is {my} (native language|mother tongue|first language)",
        "which language did {S} grow up (with|speaking)", "what language did {S} speak first as a child",
    ),
    group(
        "(what|which) languages {do} {S} speak", "what languages can {S} speak",
        "which languages {do} {S} know", "what languages can {S} hold a conversation in",
        "in which languages can {S} talk",
    ),
    group(
        "(what|which) (language|foreign language) {be} {S} learning", "which language {be} {S} studying",
        "what language {be} {S} picking up", "what language {be} {S} trying to learn",
        "which language {be} {S} taking lessons in",
    ),
)  # fmt: skip

WORK: tuple[Group, ...] = (
    group(
        "what {do} {S} do for a living", "what is {my} (job|profession|occupation|line of work|trade)",
        "what {do} {S} do for work", "what {do} {S} work as", "how {do} {S} earn {own} (living|money)",
        "what (kind|sort) of (work|job) {do} {S} [do|have]", "what {do} {S} do professionally",
        "(what|which) job {do} {S} [have|do]", ">how {do} {S} make {own} living",
    ),
    group(
        "what is {my} job title", "what is {my} (position|title|role) at work",
        "what (position|role) {do} {S} hold at work",
    ),
    group(
        "(what|which) company {do} {S} work [for|at]", "who is {my} employer", "who {do} {S} work for",
        "who employs {me}", "(what|which) (firm|business) {do} {S} work [for|at]",
        "what company {be} {S} (with|employed by)", "who pays {my} (salary|wages)",
        "whose payroll {be} {S} on",
    ),
    group(
        "where {do} {S} work", "where {be} {S} employed", "where is {my} (workplace|place of work|job)",
        "where {do} {S} have {own} job", "where {do} {S} earn {own} living", "where {be} {S} working",
        "where {do} {S} go to work", "what is {my} (workplace|place of work)",
    ),
    group(
        "who is {my} (boss|manager|supervisor|line manager)", "who {do} {S} report to",
        "who {do} {S} answer to at work", "who is in charge of {me} at work", "what is {my} boss called",
        "what is {my} boss's name", "what is the name of {my} boss", "who {do} {S} work under",
    ),
    group(
        "when {do} {S} (start|begin) work", "what time {do} {S} (start|begin) work",
        "when does {my} (working day|workday) (start|begin)", "what time {do} {S} have to be at work",
        "when {do} {S} clock in", "when {do} {S} start working",
    ),
    group(
        "when {do} {S} (finish|stop) work", "what time {do} {S} (finish|get off) work",
        "when does {my} (working day|workday) end", "when {do} {S} clock off", "until when {do} {S} work",
        "what time {do} {S} stop working",
    ),
    group(
        "how long {have} {S} (worked|been working) (at|for) {X}", "how long {have} {S} been employed at {X}",
        "how many years {have} {S} been at {X}", "since when {have} {S} worked at {X}",
    ),
    group(
        "when did {S} start [at|working at|working for] {X}", "when did {S} join {X}",
        "when did {S} begin working at {X}",
    ),
    group(
        "how much {do} {S} (earn|make)", "what is {my} (salary|income|pay)", "how much {be} {S} paid",
        "what {do} {S} get paid", "how high is {my} salary",
    ),
    group(
        "(what|which) days {do} {S} work from home", "on which days {do} {S} work (remotely|from home)",
        "when {do} {S} work from home", "which days {do} {S} stay at home to work",
        "on which days {do} {S} not go into the office",
    ),
    group(
        "what was {my} (previous|last|former|old) job", "what job did {S} have before",
        "what did {S} work as before", "what did {S} use to do for a living",
    ),
    group(
        "how {do} {S} (get|go|travel) to work", "how {do} {S} commute",
        "how {do} {S} get to {own} (job|workplace)",
        "what (means of transport|transport) {do} {S} use to get to work",
        "how {do} {S} make {own} way to work", "what {do} {S} take to get to work",
        "how {do} {S} commute to work",
    ),
    group(
        "how long is {my} commute", "how long {do} {S} (need|take) to get to work",
        "how long does it take {me} to get to work", "how much time {do} {S} spend commuting",
        "how long is {my} (way|trip|journey) to work", "how long does {my} commute take",
    ),
    group(
        "(what|which) {X} did {S} (go to|attend)", "where did {S} go to {X}", "what is {my} alma mater",
        "which {X} did {S} graduate from", "at which {X} did {S} study", "where did {S} go to study",
        "what was {my} {X} called", X="university|college",
    ),
    group(
        "what did {S} study", "what was {my} (major|degree subject|field of study)", "what did {S} major in",
        "what did {S} get {own} degree in", "what {do} {S} have a degree in",
        "which subject did {S} (study|take) at university", "what did {S} study at [university|college]",
        "what is {my} degree in",
    ),
    group(
        "what {do} {S} study", "what {be} {S} studying", "what is {my} (major|field of study)",
        "which subject {be} {S} studying", ">what {be} {S} doing {own} degree in",
    ),
    group(
        "(what|which) school {do} {S} (go to|attend)", "where {do} {S} go to school",
        "what is {my} school called", "what is the name of {my} school",
        "which school {be} {S} (at|enrolled at)", "what is {my} school's name",
    ),
    group(
        "who is {my} {X} teacher", "who teaches {me} {X}", "who {do} {S} have {X} lessons with",
        "who gives {me} {X} lessons", "what is {my} {X} teacher called", "what is {my} {X} teacher's name",
        "what is the name of {my} {X} teacher", X="[a-z]+|[A-Z][a-z]+",
    ),
    group(
        "who taught {me} {X}", "who did {S} learn {X} from", "from whom did {S} learn {X}",
        ">who was {my} {X} teacher", X=r"(?!how|to)\w+",
    ),
    group(
        "who taught {me} (how to|to) {X}", "who did {S} learn to {X} from", "from whom did {S} learn to {X}",
        "who showed {me} how to {X}", "who was it that {S} learnt to {X} from", "thanks to whom can {S} {X}",
        "who {do} {S} have to thank for being able to {X}",
    ),
)  # fmt: skip

LIFE: tuple[Group, ...] = HOME + WORK
