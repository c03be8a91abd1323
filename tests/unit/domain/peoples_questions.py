"""What people ask an assistant about themselves, and how others would ask for the same fact."""

from __future__ import annotations

_ASKED = """
What is my dog's name?
    What did I name my dog?
    What name does my dog answer to?
    What do I call my dog?
What is my sister's name?
    What is my sister called?
    Who is my sister?
    What is the name of my sister?
What is my mother's maiden name?
    What was my mother's birth name?
    What was my mother called before marriage?
    Which surname did my mother have before getting married?
What is my middle name?
    What middle name do I have?
    What is my second given name?
What is my nickname?
    What do people call me?
    What do my friends call me?
    Which nickname do I have?
Who is my best friend?
    What is my best friend called?
    What is my best friend's name?
    Who do I call my best friend?
How many siblings do I have?
    How many brothers and sisters have I got?
    How many brothers and sisters do I have?
How many children does my brother have?
    How many kids has my brother got?
    How many sons and daughters does my brother have?
When is my birthday?
    What day is my birthday?
    When do I celebrate my birthday?
    On which day do I get a year older?
When is my mum's birthday?
    When does my mother celebrate her birthday?
    What date is my mother's birthday?
    When does my mum turn a year older?
How old is my son?
    What age is my son?
    What is my son's age?
Where was I born?
    What is my birthplace?
    What is my place of birth?
    Where did I come into the world?
Where did I grow up?
    Where was I raised?
    Where did I spend my childhood?
    What is my hometown?
When did I get married?
    When did I tie the knot?
    When was my wedding?
    On what date did I marry?
When is my wedding anniversary?
    When do I celebrate my wedding anniversary?
    What date is my anniversary?
Where did I meet my wife?
    Where did I get to know my wife?
    Where did my wife and I meet?
    Where did I first meet my wife?
Who is my landlord?
    Who do I rent from?
    Who owns my flat?
    What is my landlord called?
Who is my hairdresser?
    Who cuts my hair?
    What is my hairdresser's name?
    Who does my hair?
Who is my dentist?
    Who looks after my teeth?
    Which dentist do I go to?
    What is my dentist called?
Who is my doctor?
    Which doctor do I see?
    What is my GP called?
    Who is my GP?
Who is my boss?
    Who do I report to?
    Who is my manager?
    Who is in charge of me at work?
Who is my emergency contact?
    Who should be called in an emergency?
    Who should be contacted if something happens to me?
What is my piano teacher's name?
    Who teaches me piano?
    Who gives me piano lessons?
    Who do I have piano lessons with?
Where do I live?
    Where is my home?
    What place do I call home?
    Where do I reside?
What is my address?
    What address do I live at?
    Where should post for me be sent?
What street do I live on?
    What is my street called?
    What road do I live on?
    What is the name of my street?
Which floor do I live on?
    What floor is my flat on?
    On which storey do I live?
    What floor is my apartment on?
Who do I live with?
    Who do I share my home with?
    Who lives with me?
    Who else lives in my home?
How much is my rent?
    How much rent do I pay?
    What do I pay in rent?
    How high is my rent?
How long have I lived in Bristol?
    Since when have I lived in Bristol?
    How many years have I lived in Bristol?
What is the code for my front door?
    What is my front door code?
    Which code opens my front door?
    What do I punch in to open my front door?
What is my wifi password?
    What is the password for my wifi?
    What is my wireless password?
    What is my internet password?
What is my locker number?
    What number is my locker?
    Which locker is mine?
    Which locker do I have?
What is my bike lock combination?
    What is the combination of my bike lock?
    What numbers open my bike lock?
    Which code opens my bike lock?
What is my phone number?
    What number can I be reached on?
    How can I be reached by phone?
    What number should people call to reach me?
What is my email address?
    Where can people email me?
    What email do I use?
    What is my e-mail?
What is my username on Reddit?
    What am I called on Reddit?
    What name do I use on Reddit?
What bank do I use?
    Who do I bank with?
    Where do I have my bank account?
    Which bank am I with?
Who is my internet provider?
    Who provides my internet?
    Which company do I get my internet from?
What is my number plate?
    What is my licence plate number?
    What does my number plate say?
    What is my car's registration number?
What car do I drive?
    What do I drive?
    What make is my car?
    What kind of car do I have?
What colour is my car?
    What is the colour of my car?
    What color is my car?
    In what colour is my car painted?
Where do I park my car?
    Where is my parking space?
    Where do I leave my car?
    Where do I keep my car?
What kind of bike do I ride?
    What make is my bike?
    Which bike do I own?
    What bike do I have?
How do I get to work?
    How do I commute?
    What do I take to get to work?
    What transport do I use to get to work?
How long is my commute?
    How long does it take me to get to work?
    How much time do I spend commuting?
    How long do I need to get to work?
What do I do for a living?
    What is my occupation?
    What do I work as?
    How do I earn my living?
Where does my sister work?
    Who does my sister work for?
    Where is my sister employed?
    Where is my sister's job?
Which company do I work for?
    Who is my employer?
    Who employs me?
    Which firm do I work for?
When do I start work?
    What time do I begin work?
    When does my working day start?
    What time do I have to be at work?
When does my shift end?
    When is my shift over?
    When do I finish my shift?
    When does my shift finish?
Which days do I work from home?
    On which days do I work remotely?
    When do I work from home?
    On what days do I work from home?
What was my first job?
    What did I first work as?
    What job did I have first?
    What job did I do first?
What university did I go to?
    Where did I go to university?
    Which university did I graduate from?
    What is my alma mater?
What did I study?
    What did I major in?
    What is my degree in?
    Which subject did I study at university?
What school does my daughter go to?
    Where does my daughter go to school?
    What is my daughter's school called?
    Which school does my daughter attend?
What am I allergic to?
    What is my allergy?
    What do I react badly to?
    What triggers my allergy?
What medication do I take?
    What medicine am I on?
    Which tablets do I take?
    What have I been prescribed?
What do I take for migraines?
    What medicine do I use against migraines?
    Which medication do I take for migraines?
    What helps me against migraines?
What is my blood type?
    Which blood group do I have?
    What blood type am I?
    What type is my blood?
How tall am I?
    What is my height?
    What height am I?
How much does my dog weigh?
    What is my dog's weight?
    How heavy is my dog?
What shoe size do I wear?
    What is my shoe size?
    What size are my feet?
    What size shoes do I take?
What is my ring size?
    Which ring size do I need?
    What size rings do I wear?
    What ring size do I have?
What colour are my eyes?
    What is my eye colour?
    What eye color do I have?
    Which colour eyes do I have?
Am I left-handed or right-handed?
    Which hand do I write with?
    What is my dominant hand?
    Am I a left-hander or a right-hander?
What am I afraid of?
    What scares me?
    What is my phobia?
    What frightens me?
When is my dentist appointment?
    When do I have to go to the dentist?
    When am I seeing the dentist?
    What date is my dental appointment?
What is my favourite food?
    What do I like eating most?
    Which dish do I like best?
    What food do I love most?
What is my favourite colour?
    Which colour do I like best?
    What color do I prefer?
    What colour am I fondest of?
What is my favourite film?
    Which movie do I like best?
    What movie do I love most?
    Which film do I love most?
What is my favourite book?
    What do I like reading most?
    Which book do I love most?
    What is the best book I ever read?
What is my favourite season?
    What time of year do I like best?
    Which season do I prefer?
    Which season do I enjoy most?
Which football team do I support?
    What is my favourite team?
    Which club do I cheer for?
    What team am I a fan of?
How do I take my coffee?
    What do I put in my coffee?
    How should my coffee be made?
    How do I like my coffee?
How do I like my eggs?
    How should my eggs be done?
    How do I prefer my eggs done?
    How do I want my eggs?
What do I usually have for breakfast?
    What do I eat for breakfast?
    What does my breakfast consist of?
    What is my usual breakfast?
What food do I hate?
    What food can I not stand?
    Which food do I dislike?
    What is my least favourite food?
Where do I buy my groceries?
    Where do I do my food shopping?
    Which supermarket do I go to?
    Where do I shop for groceries?
What is my hobby?
    What do I do for fun?
    How do I spend my free time?
    What do I do in my spare time?
What instrument do I play?
    Which musical instrument can I play?
    What do I make music on?
    What is my instrument?
Which sport do I play?
    How do I keep fit?
    What do I do for exercise?
    What kind of sport do I do?
Which gym do I go to?
    Where do I work out?
    What gym am I a member of?
    What is my gym called?
What book am I reading?
    Which book am I in the middle of?
    What is my current book?
    What am I reading at the moment?
What kind of music do I like?
    What is my taste in music?
    What music am I into?
    What do I listen to?
What do I collect?
    What do I have a collection of?
    What kind of things do I collect?
What languages do I speak?
    Which languages do I know?
    What languages can I speak?
    In which languages can I talk?
Which language am I learning?
    What language am I studying?
    Which language am I trying to learn?
    What language am I taking lessons in?
When do I usually go to bed?
    What is my bedtime?
    When do I turn in?
    What time do I go to sleep?
What time do I get up?
    When do I wake up?
    When do I get out of bed?
    What time do I normally get up?
How many hours do I sleep?
    How much sleep do I get?
    How long do I sleep?
What do I do on Sundays?
    How do I spend Sundays?
    What do I usually do on Sundays?
    What do I get up to on Sundays?
When do I have dinner?
    What time do I eat dinner?
    When do I eat dinner?
    When do I sit down to dinner?
When do I walk my dog?
    When do I take my dog out?
    What time do I take my dog for a walk?
    When do I go out with my dog?
How often do I call my grandmother?
    How frequently do I ring my grandma?
    How often do I phone my grandmother?
    How often do I give my grandma a call?
What day do I go to yoga?
    On which day do I go to yoga?
    Which weekday do I go to yoga?
    When do I go to yoga?
When is the rubbish collected?
    When do I put out the bins?
    Which day is bin day?
    When is the trash picked up?
Where do I keep my spare key?
    Where is my spare key?
    Where can I find my spare key?
    Where is my extra key kept?
Where do I keep my passport?
    Where is my passport?
    Where can I find my passport?
    Where is my passport kept?
When does my passport expire?
    Until when is my passport valid?
    When does my passport run out?
    What is the expiry date of my passport?
What phone do I have?
    What is my phone?
    Which model of phone do I own?
    What make is my phone?
What laptop do I use?
    Which laptop do I own?
    What brand is my laptop?
    What kind of laptop do I have?
Where did I buy my sofa?
    Where did I get my couch?
    Where is my sofa from?
    Which shop did I buy my sofa at?
How much did I pay for my bike?
    What did my bike cost?
    How expensive was my bike?
    How much did I spend on my bike?
When did I buy my car?
    When did I get my car?
    Since when have I had my car?
    When did I purchase my car?
What perfume do I wear?
    Which perfume do I use?
    What is my perfume?
    What brand is my perfume?
What is my lucky number?
    Which number brings me luck?
    What number do I consider lucky?
Where am I going on holiday this year?
    What is my holiday destination?
    Where will I spend my vacation?
    Where am I spending my holiday?
Where did I go on my honeymoon?
    Where did I spend my honeymoon?
    Where was my honeymoon?
    Where did I travel to for my honeymoon?
When is my flight?
    What time does my plane leave?
    When do I fly?
    When does my flight depart?
Which hotel am I staying at?
    What hotel have I booked?
    Where am I staying?
    What is my hotel called?
Which country do I want to visit?
    What is my dream destination?
    What country do I dream of visiting?
    Where do I want to travel?
What is my dream job?
    What job do I dream of?
    What would I love to work as?
    What job would I love to have?
What am I saving up for?
    What do I want to buy with my savings?
    What is my savings goal?
    What am I putting money aside for?
When is my driving test?
    What date is my driving test?
    When do I have my driving test?
    When do I take my driving test?
What breed is my dog?
    What kind of dog do I have?
    What is the breed of my dog?
    What sort of dog is my dog?
What does my cat eat?
    What do I feed my cat?
    What food does my cat get?
    What do I give my cat to eat?
What is my cat afraid of?
    What scares my cat?
    What frightens my cat?
    What does my cat fear?
How many cats do I have?
    How many cats have I got?
    How many cats do I own?
    How many cats live with me?
Who taught me to swim?
    Who did I learn to swim from?
    From whom did I learn to swim?
    Who showed me how to swim?
Who looks after my children?
    Who is my babysitter?
    Who minds my kids?
    Who babysits my children?
What did I want to be as a child?
    What was my childhood dream job?
    What did I dream of becoming when little?
    What did I want to become as a child?
What did I give my wife for Christmas?
    What did I get my wife for Christmas?
    What present did I give my wife for Christmas?
    What was my gift to my wife for Christmas?
What programming language do I use?
    What do I code in?
    What do I program in?
    Which language do I write my code in?
What newspaper do I read?
    Which paper do I read?
    What is my newspaper?
    Where do I get my news?
What charity do I donate to?
    Which charity do I give money to?
    What charity do I support?
    To which charity do I donate?
What is my star sign?
    Which zodiac sign am I?
    What is my zodiac sign?
    What star sign was I born under?
What is my nationality?
    Which citizenship do I have?
    What country am I a citizen of?
    What nationality am I?
How does my wife take her tea?
    What does my wife put in her tea?
    How should my wife's tea be made?
    How does my wife like her tea?
"""


def asked() -> dict[str, tuple[str, ...]]:
    """Return each question with the same question in other people's words."""
    questions: dict[str, tuple[str, ...]] = {}
    for line in _ASKED.strip().splitlines():
        if line.startswith(" "):
            question = next(reversed(questions))
            questions[question] = (*questions[question], line.strip())
        else:
            questions[line] = ()
    return questions
